# tests/fuzz/fuzz_judge.c feeds answers to the room notify.
fuzz_room_judge := notify

# What providers send, for the judges under tests/schemas: build/tests/notify-render prints it as JSON lines.
$(BUILD)/tests/notify-render.o: tests/suites/notify-render.c $(FLAGS_FILE) | $(BUILD)/checked-libs
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c $< -o $@
$(BUILD)/tests/notify-render: $(BUILD)/tests/notify-render.o $(call closure_of,notify)
	$(SAY) LD $@
	$(Q)$(CC) $(LDFLAGS_ALL) $(filter %.o,$^) $(LIBS) -o $@
.PHONY: bodies
bodies: $(BUILD)/tests/notify-render
	RUNBELL_RENDER=$(BUILD)/tests/notify-render $(PYTHON) -m pytest -q tests/schemas
