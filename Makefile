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
-include Makefile.packages

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

# A changed flag rebuilds everything.
FLAGS_FILE := $(BUILD)/flags
FLAGS_TEXT := $(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL)
$(shell mkdir -p $(BUILD); printf '%s\n' '$(subst ','\'',$(FLAGS_TEXT))' | cmp -s - $(FLAGS_FILE) || printf '%s\n' '$(subst ','\'',$(FLAGS_TEXT))' > $(FLAGS_FILE))

.PHONY: all deps test-deps demo test unit bench crash lint san tsan fuzz deb install uninstall dist clean help

all: $(BUILD)/runbell

$(BUILD)/%.o: src/%.c $(FLAGS_FILE) | $(BUILD)/checked-libs
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

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
	$(CC) $(HARDEN) -c $< -o $@

$(BUILD)/librunbell.a: $(LIB_OBJS)
	@rm -f $@
	ar rcsD $@ $(LIB_OBJS)

$(BUILD)/runbell: $(MAIN) $(BUILD)/librunbell.a
	$(CC) $(LDFLAGS_ALL) $(MAIN) $(BUILD)/librunbell.a $(LIBS) -o $@

# --- unit tests: tests/unit/test_ROOM[_what].c, each linked with its room and what the room may use ------
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(sort $(wildcard tests/unit/test_*.c)))
room_of = $(word 2,$(subst _, ,$(notdir $(1))))
# A room, what it may use, what those may use: arrows go one way, so three rounds reach everything.
widen = $(sort $(1) $(foreach r,$(1),$(arrows_$(r))))
closure_of = $(foreach r,$(call widen,$(call widen,$(call widen,$(1)))),$(objs_$(r)))
$(BUILD)/tests/%.o: tests/unit/%.c $(FLAGS_FILE) | $(BUILD)/checked-libs
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -Wno-missing-prototypes -Itests/unit -MMD -MP -c $< -o $@
define unit_rule
$(1): $(1).o $$(filter-out $(MAIN),$$(call closure_of,$$(call room_of,$(1))))
	$$(CC) $$(LDFLAGS_ALL) $$(filter %.o,$$^) $$(LIBS) -lcmocka -o $$@
endef
$(foreach t,$(UNIT),$(eval $(call unit_rule,$(t))))
unit: $(UNIT)
	@failed=0; for t in $(UNIT); do echo "== $$t"; $$t || failed=1; done; exit $$failed

-include $(wildcard $(BUILD)/*/*.d)

clean:
	rm -rf $(BUILD)

# --- libraries -----------------------------------------------------------------------------------------
$(BUILD)/checked-libs: Makefile
	@mkdir -p $(@D)
	@sh .ci/check-libs $(PACKAGES)
	@touch $@

-include tests/mustache.mk
-include tests/notify.mk
-include tests/suites.mk
