# The tools of the benchmarks, under build/bench; make bench runs them through tests/bench/bench.py.
BENCH_TOOLS := $(addprefix $(BUILD)/bench/,load probe bench_rule bench_engine bench_store)
.PHONY: bench-tools
bench-tools: $(BENCH_TOOLS)

$(BUILD)/bench/%.o: tests/bench/%.c $(FLAGS_FILE) | $(BUILD)/checked-libs
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -c $< -o $@
# These two are programs of their own, with nothing of ours in them: the other side of the measuring.
$(BUILD)/bench/load $(BUILD)/bench/probe: $(BUILD)/bench/%: tests/bench/%.c $(FLAGS_FILE)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE $(WARNINGS) $(OPT) $< -o $@
$(BUILD)/bench/bench_rule: $(BUILD)/bench/bench_rule.o $(call closure_of,rule)
	$(CC) $(LDFLAGS_ALL) $(filter %.o,$^) $(LIBS) -o $@
$(BUILD)/bench/bench_engine: $(BUILD)/bench/bench_engine.o $(call closure_of,engine)
	$(CC) $(LDFLAGS_ALL) $(filter %.o,$^) $(LIBS) -o $@
$(BUILD)/bench/bench_store: $(BUILD)/bench/bench_store.o $(call closure_of,store)
	$(CC) $(LDFLAGS_ALL) $(filter %.o,$^) $(LIBS) -o $@
