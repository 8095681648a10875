# The JSON suite, the zones, the fuzz targets and their replays.
# make json-suite: our corpus through the reader. build/tests/json-suite DIR takes any folder of y_, n_, i_ files.
JSON_SUITE ?= tests/json-suite
$(BUILD)/tests/json-suite.o: tests/suites/json-suite.c $(FLAGS_FILE) | $(BUILD)/checked-libs
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c $< -o $@
$(BUILD)/tests/json-suite: $(BUILD)/tests/json-suite.o $(call closure_of,json)
	$(SAY) LD $@
	$(Q)$(CC) $(LDFLAGS_ALL) $(filter %.o,$^) $(LIBS) -o $@
.PHONY: json-suite
json-suite: $(BUILD)/tests/json-suite
	@$< $(JSON_SUITE) > $<.txt; rc=$$?; grep -v '^passed' $<.txt; exit $$rc

# What zones, schedules and cron times come to, for the judges under tests/zones.
$(BUILD)/tests/zones.o: tests/suites/zones.c $(FLAGS_FILE) | $(BUILD)/checked-libs
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c $< -o $@
$(BUILD)/tests/zones: $(BUILD)/tests/zones.o $(filter-out $(MAIN),$(call closure_of,rule))
	$(SAY) LD $@
	$(Q)$(CC) $(LDFLAGS_ALL) $(filter %.o,$^) $(LIBS) -o $@
.PHONY: zones
zones: $(BUILD)/tests/zones
	RUNBELL_ZONES=$(BUILD)/tests/zones $(PYTHON) -m pytest -q tests/zones

# tests/fuzz/fuzz_NAME.c fuzzes the room NAME, or the one that fuzz_room_NAME says; its seeds and past findings
# are in tests/fuzz/corpus/NAME.
FUZZ := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
fuzz_room_rules ?= rule
fuzz_room_ingest ?= source
fuzz_room_alert ?= source
fuzz_room_rows ?= source
fuzz_room_items ?= source
fuzz_room_feed ?= source
fuzz_room_cron ?= rule
fuzz_room_tzif ?= rule
fuzz_room_duration ?= base
fuzz_objs_of = $(filter-out $(MAIN),$(call closure_of,$(or $(fuzz_room_$(1)),$(1))))

# build/fuzz/NAME: clang's libFuzzer with sanitizers over objects of its own.
CLANG ?= clang
FUZZ_FLAGS = -std=gnu11 -D_GNU_SOURCE -DRUNBELL_VERSION='"$(VERSION)"' -Isrc -include base/banned.h -O1 -g \
             -fno-omit-frame-pointer -fno-sanitize-recover=undefined
FUZZ_SANITIZE = address,undefined
$(BUILD)/fuzz/obj/%.o: src/%.c $(FLAGS_FILE) | $(BUILD)/checked-libs
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link,$(FUZZ_SANITIZE) -MMD -MP -c $< -o $@
$(BUILD)/fuzz/obj/gen/%.o: $(BUILD)/gen/%.o
	@mkdir -p $(@D)
	cp $< $@
$(BUILD)/fuzz/obj/fuzz_%.o: tests/fuzz/fuzz_%.c $(FLAGS_FILE) | $(BUILD)/checked-libs
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link,$(FUZZ_SANITIZE) -MMD -MP -c $< -o $@
define fuzz_rule
$(BUILD)/fuzz/$(1): $(BUILD)/fuzz/obj/fuzz_$(1).o $(patsubst $(BUILD)/%,$(BUILD)/fuzz/obj/%,$(call fuzz_objs_of,$(1)))
	$$(SAY) LD $$@
	$$(Q)$$(CLANG) -fsanitize=fuzzer,$$(FUZZ_SANITIZE) $$(filter %.o,$$^) $$(LIBS) -pthread -o $$@
endef
$(foreach t,$(FUZZ),$(eval $(call fuzz_rule,$(t))))

# build/tests/replay_NAME DIR...: the same target over files, with the ordinary compiler and flags.
$(BUILD)/tests/fuzz_%.o: tests/fuzz/fuzz_%.c $(FLAGS_FILE) | $(BUILD)/checked-libs
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c $< -o $@
$(BUILD)/tests/replay_main.o: tests/fuzz/replay_main.c $(FLAGS_FILE) | $(BUILD)/checked-libs
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c $< -o $@
define replay_rule
$(BUILD)/tests/replay_$(1): $(BUILD)/tests/fuzz_$(1).o $(BUILD)/tests/replay_main.o $(call fuzz_objs_of,$(1))
	$$(SAY) LD $$@
	$$(Q)$$(CC) $$(LDFLAGS_ALL) $$(filter %.o,$$^) $$(LIBS) -o $$@
endef
$(foreach t,$(FUZZ),$(eval $(call replay_rule,$(t))))
.PHONY: replay
replay: $(patsubst %,$(BUILD)/tests/replay_%,$(FUZZ))
	@failed=0; for t in $(FUZZ); do $(BUILD)/tests/replay_$$t tests/fuzz/corpus/$$t || failed=1; done; exit $$failed

-include $(wildcard $(BUILD)/fuzz/obj/*.d $(BUILD)/fuzz/obj/*/*.d)
