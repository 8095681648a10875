# The Mustache suite: build/tests/mustache-suite FILE.json... (test files in the Mustache specification's form).
$(BUILD)/tests/mustache-suite.o: tests/suites/mustache-suite.c $(FLAGS_FILE) | $(BUILD)/checked-libs
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c $< -o $@
$(BUILD)/tests/mustache-suite: $(BUILD)/tests/mustache-suite.o $(objs_template) $(objs_json) $(objs_base)
	$(SAY) LD $@
	$(Q)$(CC) $(LDFLAGS_ALL) $(filter %.o,$^) $(LIBS) -o $@
.PHONY: mustache
mustache: $(BUILD)/tests/mustache-suite
	$(BUILD)/tests/mustache-suite $(sort $(wildcard tests/mustache/*.json))
