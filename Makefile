# runbell: one Makefile, no recursion. `make help` lists the targets.
CC ?= gcc
PYTHON ?= /usr/bin/python3
PREFIX ?= /usr/local
VERSION := 0.1.0
BUILD ?= build

.DEFAULT_GOAL := all
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SECONDARY:

# --- what is there -------------------------------------------------------------------------------------
ROOMS := $(shell sed -n 's/^\([a-z]*\):.*/\1/p' tests/layers/arrows)
$(foreach r,$(ROOMS),$(eval arrows_$(r) := $(shell sed -n 's/^$(r)://p' tests/layers/arrows)))
srcs = $(sort $(wildcard src/$(1)/*.c))
$(foreach r,$(ROOMS),$(eval objs_$(r) := $(patsubst src/%.c,$(BUILD)/%.o,$(call srcs,$(r)))))
PROVIDERS := $(sort $(wildcard src/notify/providers/*.yaml))
objs_notify += $(BUILD)/gen/providers.o
MAIN := $(BUILD)/cli/main.o
LIB_OBJS := $(filter-out $(MAIN),$(foreach r,$(ROOMS),$(objs_$(r))))

PACKAGES := libmicrohttpd libcurl yaml-0.1 sqlite3 libpcre2-8 libcrypto

# --- flags ---------------------------------------------------------------------------------------------
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 \
            -Wundef -Wswitch-enum
ifdef CI
WARNINGS += -Werror
endif
OPT ?= -O2 -g
HARDEN ?= -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
SANITIZE ?=
CFLAGS_ALL = -std=gnu11 -D_GNU_SOURCE -DRUNBELL_VERSION='"$(VERSION)"' -Isrc -include base/banned.h \
             $(WARNINGS) $(OPT) $(HARDEN) $(SANITIZE) $(CFLAGS)
LDFLAGS_ALL = -pie -Wl,-z,relro,-z,now -pthread $(SANITIZE) $(LDFLAGS)
LIBS = $(shell pkg-config --libs $(PACKAGES)) -lm

# One short line a step; V=1 shows the commands.
Q = $(if $(V),,@)
SAY = $(if $(V),@:,@printf '  %-5s %s\n')

# A changed flag rebuilds everything.
FLAGS_FILE := $(BUILD)/flags
FLAGS_TEXT := $(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL)
$(shell mkdir -p $(BUILD); printf '%s\n' '$(subst ','\'',$(FLAGS_TEXT))' | cmp -s - $(FLAGS_FILE) || printf '%s\n' '$(subst ','\'',$(FLAGS_TEXT))' > $(FLAGS_FILE))

.PHONY: all deps test-deps demo test unit bench crash property lint san tsan fuzz deb install uninstall dist clean help

all: $(BUILD)/runbell ## builds build/runbell

$(BUILD)/%.o: src/%.c $(FLAGS_FILE) | $(BUILD)/checked-libs
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

# The provider descriptors, embedded: a table of name, start, end (notify/embedded.h).
$(BUILD)/gen/providers.S: $(PROVIDERS) Makefile
	@mkdir -p $(@D)
	@{ echo '.section .rodata'; \
	   for f in $(PROVIDERS); do n=$$(basename $$f .yaml | tr - _); \
	     printf 'p_%s_name: .asciz "%s"\np_%s: .incbin "%s"\np_%s_end: .byte 0\n' $$n $$(basename $$f .yaml) $$n $$f $$n; done; \
	   echo '.section .data.rel.ro,"aw"'; echo '.balign 8'; echo '.globl notify_embedded'; echo 'notify_embedded:'; \
	   for f in $(PROVIDERS); do n=$$(basename $$f .yaml | tr - _); printf '.quad p_%s_name, p_%s, p_%s_end\n' $$n $$n $$n; done; \
	   echo '.quad 0, 0, 0'; echo '.section .note.GNU-stack,"",@progbits'; } > $@
$(BUILD)/gen/providers.o: $(BUILD)/gen/providers.S $(PROVIDERS)
	$(Q)$(CC) $(HARDEN) -c $< -o $@

$(BUILD)/librunbell.a: $(LIB_OBJS)
	@rm -f $@
	$(Q)ar rcsD $@ $(LIB_OBJS)

$(BUILD)/runbell: $(MAIN) $(BUILD)/librunbell.a
	$(SAY) LD $@
	$(Q)$(CC) $(LDFLAGS_ALL) $(MAIN) $(BUILD)/librunbell.a $(LIBS) -o $@

# --- unit tests: tests/unit/test_ROOM[_what].c, each linked with its room and what the room may use ------
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(sort $(wildcard tests/unit/test_*.c)))
room_of = $(word 2,$(subst _, ,$(notdir $(1))))
# A room, what it may use, what those may use: arrows go one way, so three rounds reach everything.
widen = $(sort $(1) $(foreach r,$(1),$(arrows_$(r))))
closure_of = $(foreach r,$(call widen,$(call widen,$(call widen,$(1)))),$(objs_$(r)))
$(BUILD)/tests/%.o: tests/unit/%.c $(FLAGS_FILE) | $(BUILD)/checked-libs
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(CC) $(CFLAGS_ALL) -Wno-missing-prototypes -Itests/unit -MMD -MP -c $< -o $@
define unit_rule
$(1): $(1).o $$(filter-out $(MAIN),$$(call closure_of,$$(call room_of,$(1))))
	$$(SAY) LD $$@
	$$(Q)$$(CC) $$(LDFLAGS_ALL) $$(filter %.o,$$^) $$(LIBS) -lcmocka -o $$@
endef
$(foreach t,$(UNIT),$(eval $(call unit_rule,$(t))))
unit: $(UNIT)

-include $(wildcard $(BUILD)/*/*.d)

# --- the other programs that tests are made of: suites, fuzz targets and their replays, bench tools
-include tests/mustache.mk
-include tests/notify.mk
-include tests/suites.mk
-include tests/bench.mk

# --- libraries and packages ----------------------------------------------------------------------------------
BUILD_PACKAGES := pkg-config libmicrohttpd-dev libcurl4-openssl-dev libjsmn-dev libyaml-dev libsqlite3-dev \
                  libpcre2-dev libssl-dev ca-certificates tzdata
TEST_PACKAGES := libcmocka-dev python3 python3-pytest python3-jsonschema python3-yaml
BENCH_PACKAGES := nginx-light prometheus-alertmanager webhook python3
LINT_PACKAGES := clang-tidy cppcheck shellcheck python3
FUZZ_PACKAGES := clang libclang-rt-14-dev

$(BUILD)/checked-libs: .ci/check-libs
	@mkdir -p $(@D)
	@sh .ci/check-libs $(PACKAGES)
	@touch $@

deps: ## installs what building and running needs (Debian packages; skips what is there)
	@sh .ci/apt-install $(BUILD_PACKAGES)
test-deps: deps
	@sh .ci/apt-install $(TEST_PACKAGES)

# Steps that must come one after another are makes of their own: what is installed first decides what the next
# one can see (pkg-config), and another set of flags is another build folder.
AGAIN = @$(MAKE) --no-print-directory -j$(shell nproc)

# --- seeing it ---------------------------------------------------------------------------------------------------
demo: ## THE first command: installs what is missing, builds, tells the story of the three sample rules
	$(AGAIN) deps
	$(AGAIN) all
	@$(BUILD)/runbell demo

# --- testing -----------------------------------------------------------------------------------------------------
SAN_FLAGS := SANITIZE="-fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined" HARDEN=-fPIE OPT="-O1 -g"
TSAN_FLAGS := SANITIZE="-fsanitize=thread" HARDEN=-fPIE OPT="-O1 -g"
RUN := $(PYTHON) tests/run.py
UNIT_SPECS = $(foreach t,$(UNIT),"unit/$(patsubst test_%,%,$(notdir $(t))): $(1)/tests/$(notdir $(t))")
REPLAY_SPECS = $(foreach t,$(FUZZ),"fuzz/$(t): $(1)/tests/replay_$(t) tests/fuzz/corpus/$(t)")
PYTEST = $(PYTHON) -m pytest -q -p no:cacheprovider

.PHONY: programs sanitized
programs: all $(UNIT) $(BUILD)/tests/json-suite $(BUILD)/tests/mustache-suite $(BUILD)/tests/zones $(BUILD)/tests/notify-render
sanitized: $(UNIT) $(patsubst %,$(BUILD)/tests/replay_%,$(FUZZ)) $(BUILD)/runbell

test: ## THE second command: installs what is missing, builds, runs every test
	$(AGAIN) test-deps
	$(AGAIN) programs
	$(AGAIN) BUILD=build/san $(SAN_FLAGS) sanitized
	@SEEDS=40 UBSAN_OPTIONS=print_stacktrace=1 RUNBELL_RENDER=$(BUILD)/tests/notify-render RUNBELL_ZONES=$(BUILD)/tests/zones RUNBELL_BIN=$(BUILD)/runbell $(RUN) --log $(BUILD)/log \
	    "layers: $(PYTHON) tests/layers/check.py" \
	    $(call UNIT_SPECS,build/san) $(call REPLAY_SPECS,build/san) \
	    "json-suite: $(BUILD)/tests/json-suite tests/json-suite" \
	    "mustache-suite: $(BUILD)/tests/mustache-suite $(sort $(wildcard tests/mustache/*.json))" \
	    "zones: $(PYTEST) tests/zones" \
	    "rules: $(BUILD)/runbell test -q $(sort $(wildcard rules/*.yaml rules/more/*.yaml)) tests/fixtures/language/runbell.yaml" \
	    "bodies: $(PYTEST) tests/schemas" \
	    "fakes: $(PYTEST) tests/fakes" \
	    "sdk: $(PYTEST) -rs tests/sdk" \
	    "e2e: $(PYTEST) tests/e2e" \
	    "crash: $(PYTHON) tests/crash/crash.py --quick" \
	    "trigger: $(PYTHON) tests/trigger/property.py --runs 300 --kills 2" \
	    "docs: $(PYTEST) tests/docs"

san: ## the unit tests, the fuzz corpora and the end-to-end tests under ASan, UBSan and LSan
	$(AGAIN) test-deps
	$(AGAIN) BUILD=build/san $(SAN_FLAGS) sanitized
	@UBSAN_OPTIONS=print_stacktrace=1 RUNBELL_E2E_PATIENCE=4 RUNBELL_BIN=build/san/runbell $(RUN) --log build/log $(call UNIT_SPECS,build/san) $(call REPLAY_SPECS,build/san) "e2e: $(PYTEST) tests/e2e"

tsan: ## the unit tests and the end-to-end tests under ThreadSanitizer
	$(AGAIN) test-deps
	$(AGAIN) BUILD=build/tsan $(TSAN_FLAGS) sanitized
	@TSAN_OPTIONS=halt_on_error=0:exitcode=66 RUNBELL_E2E_PATIENCE=4 RUNBELL_BIN=build/tsan/runbell $(RUN) --log build/log $(call UNIT_SPECS,build/tsan) "e2e: $(PYTEST) tests/e2e"

FUZZ_SECONDS ?= 60
fuzz: ## libFuzzer with sanitizers, FUZZ_SECONDS (60) for each target
	@sh .ci/apt-install $(BUILD_PACKAGES) $(FUZZ_PACKAGES)
	$(AGAIN) $(patsubst %,$(BUILD)/fuzz/%,$(FUZZ))
	@for t in $(FUZZ); do mkdir -p $(BUILD)/fuzz/found/$$t && $(BUILD)/fuzz/$$t -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 \
	    -artifact_prefix=$(BUILD)/fuzz/found/$$t/ $(BUILD)/fuzz/found/$$t tests/fuzz/corpus/$$t || exit 1; done

crash: ## the long crash test: a thousand SIGKILLs under load (CRASH_KILLS), two thousand power cuts (SEEDS)
	$(AGAIN) test-deps
	$(AGAIN) all $(BUILD)/tests/test_store_powercut
	@SEEDS=$(or $(SEEDS),2000) $(BUILD)/tests/test_store_powercut
	@RUNBELL_BIN=$(BUILD)/runbell $(PYTHON) tests/crash/crash.py --kills $(or $(CRASH_KILLS),1000)

property: ## the long property tests: a million reports (CONDITION_EVENTS) for each condition against a naive model, then ten thousand random timelines of runs (RUNS) for each way of polling, with faults and kills
	$(AGAIN) test-deps
	$(AGAIN) all $(BUILD)/tests/test_engine_model $(BUILD)/tests/test_engine_lasts_model
	@CONDITION_EVENTS=$(or $(CONDITION_EVENTS),1000000) $(BUILD)/tests/test_engine_model
	@CONDITION_EVENTS=$(or $(CONDITION_EVENTS),1000000) $(BUILD)/tests/test_engine_lasts_model
	@RUNBELL_BIN=$(BUILD)/runbell $(PYTHON) tests/trigger/property.py --runs $(or $(RUNS),10000)

bench: ## the benchmarks, interleaved with peers; text and SVG under build/bench
	@sh .ci/apt-install $(BUILD_PACKAGES) $(BENCH_PACKAGES)
	$(AGAIN) all bench-tools
	@$(PYTHON) tests/bench/bench.py --out build/bench

# --- linting --------------------------------------------------------------------------------------------------------
LINT_SRCS = $(foreach r,$(ROOMS),$(call srcs,$(r)))
# How far the analyzer follows a function: a third of its own 225,000 takes a third of the time, and found all that
# the whole found.
TIDY_NODES ?= 75000
TIDY_FLAGS = -std=gnu11 -D_GNU_SOURCE -DRUNBELL_VERSION='"$(VERSION)"' -Isrc -include base/banned.h \
             -Xclang -analyzer-config -Xclang max-nodes=$(TIDY_NODES)
lint: ## clang-tidy, cppcheck, gcc -fanalyzer, shellcheck, layers and lengths
	@sh .ci/apt-install $(BUILD_PACKAGES) $(LINT_PACKAGES)
	$(Q)$(PYTHON) tests/layers/check.py
	$(SAY) LINT shellcheck
	$(Q)shellcheck .ci/check-libs .ci/apt-install .ci/run deploy/make-deb
	$(SAY) LINT cppcheck
	$(Q)cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,portability --inline-suppr -Isrc --suppressions-list=.cppcheck $(LINT_SRCS)
	$(SAY) LINT 'gcc -fanalyzer'
	$(AGAIN) BUILD=build/lint OPT="-O1 -g" HARDEN=-fPIE SANITIZE="-fanalyzer -Werror" lint-objects
	$(SAY) LINT clang-tidy
	$(Q)printf '%s\n' $(LINT_SRCS) | xargs -P "$$(nproc)" -I{} clang-tidy --quiet {} -- $(TIDY_FLAGS)
.PHONY: lint-objects
lint-objects: $(LIB_OBJS) $(MAIN)

# --- installing --------------------------------------------------------------------------------------------------------
COMPLETIONS := share/bash-completion/completions/runbell share/zsh/site-functions/_runbell share/fish/vendor_completions.d/runbell.fish
install: all ## into DESTDIR and PREFIX (/usr/local)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/runbell/rules/more $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 755 $(BUILD)/runbell $(DESTDIR)$(PREFIX)/bin/runbell
	install -m 644 rules/*.yaml $(DESTDIR)$(PREFIX)/share/runbell/rules/
	install -m 644 rules/more/*.yaml $(DESTDIR)$(PREFIX)/share/runbell/rules/more/
	install -m 644 runbell.yaml $(DESTDIR)$(PREFIX)/share/runbell/runbell.yaml
	install -m 644 docs/runbell.1 $(DESTDIR)$(PREFIX)/share/man/man1/runbell.1
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,$(dir $(COMPLETIONS)))
	$(BUILD)/runbell completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/runbell
	$(BUILD)/runbell completion zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_runbell
	$(BUILD)/runbell completion fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/runbell.fish
	sed 's#/usr/local#$(PREFIX)#g' deploy/runbell.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/runbell.service
uninstall: ## takes it away again
	rm -rf $(DESTDIR)$(PREFIX)/bin/runbell $(DESTDIR)$(PREFIX)/share/runbell $(DESTDIR)$(PREFIX)/share/man/man1/runbell.1 \
	    $(DESTDIR)$(PREFIX)/lib/systemd/system/runbell.service $(addprefix $(DESTDIR)$(PREFIX)/,$(COMPLETIONS))
dist: ## a source archive of the last commit
	@mkdir -p $(BUILD)
	git archive --format=tar.gz --prefix=runbell-$(VERSION)/ -o $(BUILD)/runbell-$(VERSION).tar.gz HEAD
deb: all ## a Debian package of the binary, under build/
	@sh deploy/make-deb $(VERSION) $(BUILD)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 14

clean: ## removes everything that was built
	rm -rf $(BUILD) build
