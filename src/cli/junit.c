#include "cli/junit.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/utf8.h"

enum { XML_CEILING = 256 << 20 };

void junit_init(struct junit *j)
{
    *j = (struct junit){ .tests = 0 };
    strbuf_init(&j->cases, XML_CEILING);
    strbuf_init(&j->suites, XML_CEILING);
}

void junit_fini(struct junit *j)
{
    strbuf_fini(&j->cases);
    strbuf_fini(&j->suites);
}

/* Text of an element or an attribute. XML knows no control characters, not even as references. */
static void put_text(struct strbuf *out, struct str text, bool attribute)
{
    for (size_t k = 0; k < text.n; k++) {
        unsigned char c = (unsigned char)text.p[k];
        if (c == '&') strbuf_c(out, "&amp;");
        else if (c == '<') strbuf_c(out, "&lt;");
        else if (c == '>') strbuf_c(out, "&gt;");
        else if (c == '"') strbuf_c(out, "&quot;");
        else if (attribute && (c == '\n' || c == '\t')) strbuf_printf(out, "&#%d;", c);
        else if (c < 0x20 && c != '\n' && c != '\t') strbuf_c(out, "?");
        else strbuf_char(out, (char)c);
    }
}

static void put_attribute(struct strbuf *out, const char *name, struct str value)
{
    strbuf_printf(out, " %s=\"", name);
    put_text(out, value, true);
    strbuf_char(out, '"');
}

static void put_seconds(struct strbuf *out, int64_t ms)
{
    strbuf_printf(out, " time=\"%lld.%03d\"", (long long)(ms / 1000), (int)(ms % 1000));
}

/* The first line, without the blanks before it. */
static struct str first_line(const char *text)
{
    struct str s = str_c(text);
    return str_trim(str_sub(s, 0, str_find(s, '\n', 0)));
}

static void put_what(struct strbuf *out, const char *element, const char *what)
{
    strbuf_printf(out, "><%s", element);
    put_attribute(out, "message", first_line(what));
    strbuf_char(out, '>');
    put_text(out, str_c(what), false);
    strbuf_printf(out, "</%s></testcase>\n", element);
}

static void begin_case(struct junit *j, struct str name, const char *file)
{
    j->tests++;
    strbuf_c(&j->cases, "    <testcase");
    put_attribute(&j->cases, "name", name);
    put_attribute(&j->cases, "classname", str_c(file));
    put_attribute(&j->cases, "file", str_c(file));
}

void junit_case(struct junit *j, struct str name, const char *file, uint32_t line, int64_t ms, const char *failure)
{
    begin_case(j, name, file);
    strbuf_printf(&j->cases, " line=\"%u\"", line);
    put_seconds(&j->cases, ms);
    j->ms += ms;
    j->failures += failure != NULL;
    if (failure) put_what(&j->cases, "failure", failure);
    else strbuf_c(&j->cases, "/>\n");
}

void junit_error(struct junit *j, const char *file, const char *what)
{
    begin_case(j, STR("the file can be read"), file);
    j->errors++;
    put_what(&j->cases, "error", what);
}

void junit_file_end(struct junit *j, const char *file)
{
    strbuf_c(&j->suites, "  <testsuite");
    put_attribute(&j->suites, "name", str_c(file));
    strbuf_printf(&j->suites, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\"", j->tests, j->failures, j->errors);
    put_seconds(&j->suites, j->ms);
    strbuf_c(&j->suites, ">\n");
    strbuf_str(&j->suites, strbuf_view(&j->cases));
    strbuf_c(&j->suites, "  </testsuite>\n");
    strbuf_clear(&j->cases);
    j->all_tests += j->tests;
    j->all_failures += j->failures;
    j->all_errors += j->errors;
    j->all_ms += j->ms;
    j->tests = j->failures = j->errors = 0;
    j->ms = 0;
}

static void put_all(const struct junit *j, FILE *to)
{
    fprintf(to, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"runbell test\" tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" time=\"%lld.%03d\">\n",
            j->all_tests, j->all_failures, j->all_errors, (long long)(j->all_ms / 1000), (int)(j->all_ms % 1000));
    fwrite(j->suites.p, 1, j->suites.n, to);
    fprintf(to, "</testsuites>\n");
}

int junit_write(const struct junit *j, const char *path, struct err *err)
{
    struct arena a = { 0 };
    const char *part;
    bool ok;
    FILE *to;
    if (str_eq_c(str_c(path), "-")) {
        put_all(j, stdout);
        return 0;
    }
    part = str_printf(&a, "%s.part", path).p;
    to = fopen(part, "w");
    if (to) put_all(j, to);
    ok = to && !ferror(to);
    ok &= to && fclose(to) == 0;
    if (ok) ok = rename(part, path) == 0;
    if (!ok) err_set(err, ERR_IO, "cannot write %s: %m", path);
    if (to && !ok) unlink(part);
    arena_fini(&a);
    return ok ? 0 : -1;
}
