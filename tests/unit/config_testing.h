/* config_testing: a configuration out of a text, for tests of rooms that take one. */
#ifndef CONFIG_TESTING_H
#define CONFIG_TESTING_H
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"

/* Never NULL: a mistake in the text fails the test, and is printed. Free with config_unref. */
static inline struct config *config_of(const char *yaml)
{
    char path[] = "/tmp/runbell-test-XXXXXX";
    struct arena a = { 0 };
    struct diags d;
    struct config *c;
    struct strbuf text;
    FILE *f = fdopen(mkstemp(path), "w");
    assert_non_null(f);
    assert_true(fputs(yaml, f) >= 0);
    assert_int_equal(fclose(f), 0);
    diags_init(&d, &a);
    c = config_load(path, false, &d);
    unlink(path);
    if (!c) {
        strbuf_init(&text, 1 << 20);
        diags_print(&d, &text, false);
        fail_msg("%s", text.p);
    }
    diags_fini(&d);
    arena_fini(&a);
    return c;
}
#endif
