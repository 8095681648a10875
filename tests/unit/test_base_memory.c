/* base: growing buffers with ceilings, arenas, maps, vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/map.h"
#include "base/rng.h"
#include "base/strbuf.h"
#include "base/vec.h"

/* --- strbuf ------------------------------------------------------------------------------------------------------ */
static void assert_whole(const struct strbuf *b)
{
    assert_non_null(b->p);
    assert_int_equal(b->p[b->n], '\0');
    assert_true(b->n <= b->ceiling);
}

static void test_a_buffer_is_always_terminated(void **state)
{
    struct strbuf b;
    (void)state;
    strbuf_init(&b, 1000);
    assert_string_equal(b.p, "");
    strbuf_c(&b, "abc");
    strbuf_char(&b, 'd');
    strbuf_str(&b, STR_NONE);
    strbuf_add(&b, NULL, 0);
    strbuf_printf(&b, "%05d", 42);
    strbuf_printf(&b, "%s", "");
    assert_whole(&b);
    assert_string_equal(b.p, "abcd00042");
    strbuf_cut(&b, 100);
    assert_int_equal(b.n, 9);
    strbuf_cut(&b, 2);
    assert_string_equal(b.p, "ab");
    strbuf_clear(&b);
    assert_string_equal(b.p, "");
    strbuf_fini(&b);
    strbuf_fini(&b); /* twice is fine */
    assert_string_equal(b.p, "");
}

static void test_nothing_passes_the_ceiling(void **state)
{
    static const struct { size_t ceiling, first, second; bool ok; } cases[] = {
        { 10, 10, 0, true }, { 10, 5, 5, true }, { 10, 5, 6, false }, { 10, 11, 0, false }, { 0, 0, 0, true }, { 0, 1, 0, false },
        { 64, 64, 0, true }, { 63, 64, 0, false }, { 1000, 999, 1, true }, { 1000, 999, 2, false },
    };
    char text[1000];
    (void)state;
    memset(text, 'x', sizeof text);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct strbuf b;
        strbuf_init(&b, cases[k].ceiling);
        strbuf_add(&b, text, cases[k].first);
        strbuf_add(&b, text, cases[k].second);
        assert_whole(&b);
        assert_int_equal(strbuf_ok(&b), cases[k].ok);
        if (cases[k].ok) assert_int_equal(b.n, cases[k].first + cases[k].second);
        strbuf_fini(&b);
    }
}

static void test_a_failed_buffer_stays_failed(void **state)
{
    struct strbuf b;
    (void)state;
    strbuf_init(&b, 4);
    strbuf_c(&b, "abc");
    strbuf_c(&b, "too long");
    strbuf_char(&b, 'd'); /* would fit: but then a hole would go unseen */
    strbuf_printf(&b, "%d", 1);
    assert_false(strbuf_ok(&b));
    assert_string_equal(b.p, "abc");
    strbuf_clear(&b);
    assert_true(strbuf_ok(&b));
    strbuf_printf(&b, "%s", "12345");
    assert_false(strbuf_ok(&b));
    assert_int_equal(b.n, 0);
    strbuf_fini(&b);
    strbuf_init(&b, SIZE_MAX);
    strbuf_add(&b, "x", 1);
    assert_true(strbuf_ok(&b));
    strbuf_fini(&b);
}

static void test_detaching_gives_the_memory_away(void **state)
{
    struct strbuf b;
    size_t n = 99;
    char *p;
    (void)state;
    strbuf_init(&b, 100);
    p = strbuf_detach(&b, &n);
    assert_string_equal(p, "");
    assert_int_equal(n, 0);
    free(p);
    strbuf_c(&b, "mine");
    p = strbuf_detach(&b, &n);
    assert_int_equal(n, 4);
    assert_string_equal(p, "mine");
    assert_int_equal(b.n, 0);
    strbuf_c(&b, "again"); /* usable, with the same ceiling */
    assert_int_equal(b.ceiling, 100);
    assert_string_equal(p, "mine");
    free(p);
    strbuf_fini(&b);
}

/* --- arena ---------------------------------------------------------------------------------------------------------- */
static void test_an_arena_hands_out_aligned_memory(void **state)
{
    struct arena a = { 0 };
    size_t sum = 0;
    (void)state;
    for (size_t n = 0; n < 3000; n++) {
        unsigned char *p = arena_alloc(&a, n);
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        memset(p, 0xee, n); /* the sanitizer sees any overlap of blocks' ends */
        sum += n;
    }
    assert_true(a.used_bytes >= sum);
    for (size_t k = 0; k < 100; k++) {
        const unsigned char *p = arena_zalloc(&a, 1000);
        for (size_t i = 0; i < 1000; i++) assert_int_equal(p[i], 0);
    }
    assert_non_null(arena_alloc(&a, 5 << 20)); /* larger than any block */
    assert_string_equal(arena_memdup(&a, "abc", 2), "ab");
    assert_string_equal(arena_memdup(&a, NULL, 0), "");
    arena_fini(&a);
    assert_null(a.head);
    assert_non_null(arena_alloc(&a, 1)); /* usable again */
    arena_fini(&a);
}

static void test_resetting_keeps_one_block(void **state)
{
    struct arena a = { 0 };
    void *p;
    (void)state;
    arena_reset(&a); /* of an empty one */
    for (int k = 0; k < 1000; k++) arena_alloc(&a, 100);
    p = a.head;
    arena_reset(&a);
    assert_int_equal(a.used_bytes, 0);
    assert_ptr_equal(a.head, p);
    for (int k = 0; k < 10; k++) {
        arena_alloc(&a, 100);
        arena_reset(&a);
    }
    assert_ptr_equal(a.head, p); /* no growth from reset to reset */
    arena_fini(&a);
}

static void test_adopting_keeps_everything_alive(void **state)
{
    struct arena to = { 0 }, from = { 0 }, nothing = { 0 };
    char *mine, *theirs;
    size_t bytes;
    (void)state;
    theirs = arena_memdup(&from, "theirs", 6);
    for (int k = 0; k < 500; k++) arena_alloc(&from, 100);
    arena_adopt(&to, &from); /* into an empty one */
    assert_null(from.head);
    assert_int_equal(from.used_bytes, 0);
    mine = arena_memdup(&to, "mine", 4);
    arena_memdup(&from, "new life", 8);
    bytes = to.used_bytes + from.used_bytes;
    arena_adopt(&to, &from); /* into one that holds something */
    arena_adopt(&to, &nothing);
    assert_int_equal(to.used_bytes, bytes);
    for (int k = 0; k < 500; k++) memset(arena_alloc(&to, 100), 1, 100);
    assert_string_equal(theirs, "theirs");
    assert_string_equal(mine, "mine");
    arena_reset(&to);
    arena_fini(&to);
    arena_fini(&from);
}

/* --- map ------------------------------------------------------------------------------------------------------------ */
static void test_a_map_puts_replaces_and_removes(void **state)
{
    struct map m = { 0 };
    int one = 1, two = 2;
    (void)state;
    assert_null(map_get(&m, STR("a")));
    assert_null(map_remove(&m, STR("a")));
    assert_null(map_put(&m, STR("a"), &one));
    assert_null(map_put(&m, STR(""), &two)); /* an empty key is a key */
    assert_ptr_equal(map_put(&m, STR("a"), &two), &one);
    assert_int_equal(m.n, 2);
    assert_ptr_equal(map_get(&m, STR("a")), &two);
    assert_ptr_equal(map_get(&m, STR_NONE), &two);
    assert_null(map_get(&m, (struct str){ "a\0", 2 }));
    assert_ptr_equal(map_remove(&m, STR("a")), &two);
    assert_null(map_get(&m, STR("a")));
    map_fini(&m);
    assert_null(map_get(&m, STR("a")));
}

enum { KEYS = 300, STEPS = 60000 };

/* A map against an array that is plainly right. */
static void test_a_map_agrees_with_an_array(void **state)
{
    static char names[KEYS][16];
    static int values[STEPS];
    void *model[KEYS] = { 0 };
    struct map m = { 0 };
    struct rng rng;
    uint64_t seed;
    size_t live = 0, seen = 0, at = 0;
    struct map_entry *e;
    (void)state;
    rng_seed_system(&rng);
    seed = rng.state;
    print_message("map seed %llu\n", (unsigned long long)seed);
    for (int k = 0; k < KEYS; k++) snprintf(names[k], sizeof names[k], "k%d", k);
    for (int k = 0; k < STEPS; k++) {
        size_t i = rng_below(&rng, KEYS);
        void *want = model[i], *got;
        switch (rng_below(&rng, 3)) {
        case 0:
            got = map_put(&m, str_c(names[i]), &values[k]);
            model[i] = &values[k];
            break;
        case 1:
            got = map_remove(&m, str_c(names[i]));
            model[i] = NULL;
            break;
        default: got = map_get(&m, str_c(names[i])); break;
        }
        if (got != want) fail_msg("seed %llu, step %d", (unsigned long long)seed, k);
    }
    for (int k = 0; k < KEYS; k++) live += model[k] != NULL;
    assert_int_equal(m.n, live);
    assert_true(m.cap <= 2048); /* removed places are used again: it does not grow with time */
    while ((e = map_next(&m, &at))) {
        seen++;
        map_remove(&m, e->key); /* the current one: allowed */
    }
    assert_int_equal(seen, live);
    assert_int_equal(m.n, 0);
    map_fini(&m);
}

/* --- vec -------------------------------------------------------------------------------------------------------------- */
static void test_a_vector_grows(void **state)
{
    VEC(struct str) v = { 0 };
    (void)state;
    for (size_t k = 0; k < 1000; k++) *vec_push(&v) = (struct str){ NULL, k };
    assert_int_equal(v.n, 1000);
    for (size_t k = 0; k < 1000; k++) assert_int_equal(v.v[k].n, k);
    vec_clear(&v);
    assert_int_equal(v.n, 0);
    assert_true(v.cap >= 1000); /* memory kept */
    vec_free(&v);
    assert_null(v.v);
    assert_int_equal(v.cap, 0);
    vec_free(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_buffer_is_always_terminated),
        cmocka_unit_test(test_nothing_passes_the_ceiling),
        cmocka_unit_test(test_a_failed_buffer_stays_failed),
        cmocka_unit_test(test_detaching_gives_the_memory_away),
        cmocka_unit_test(test_an_arena_hands_out_aligned_memory),
        cmocka_unit_test(test_resetting_keeps_one_block),
        cmocka_unit_test(test_adopting_keeps_everything_alive),
        cmocka_unit_test(test_a_map_puts_replaces_and_removes),
        cmocka_unit_test(test_a_map_agrees_with_an_array),
        cmocka_unit_test(test_a_vector_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
