/* notify_internal: what a descriptor is once it has been read; for the files of this room and its tests.
 * Everything lives in the arena given to notify_providers_load and never changes afterwards. */
#ifndef NOTIFY_NOTIFY_INTERNAL_H
#define NOTIFY_NOTIFY_INTERNAL_H
#include "notify/notify.h"
#include "template/escape.h"
#include "template/template.h"

struct reader;

/* The embedded descriptors, made by the Makefile from providers/; ends with a row of zeros. */
struct notify_embedded { const char *name, *start, *end; };
extern const struct notify_embedded notify_embedded[];

/* --- text leaves (text.c) ------------------------------------------------------------------------------- */
enum text_over { TEXT_CUT, TEXT_OMIT, TEXT_HASH }; /* what happens to a text that is too long */
struct text_part { const struct template *template; template_escape_fn escape; };
struct text_leaf {
    struct text_part *parts;
    size_t part_count;
    size_t most;         /* 0 = no limit; counted after escaping */
    enum text_unit unit;
    enum text_over over;
    bool line;           /* white space runs, line ends too, become one blank */
    bool keep;           /* an empty result stays */
    bool wire;           /* URL or header: values are not tidied, the caller refuses unsafe ones */
};
/* 0 with *out in a (STR_NONE: TEXT_OMIT and too long), or -1 when a template fails. */
int text_render(const struct text_leaf *t, struct json view, struct arena *a, struct str *out,
                struct err *err) WUR;
/* The escapers of template/escape.h and those of escapers.c; NULL = unknown. */
template_escape_fn notify_escape_by_name(struct str name);

/* --- body trees (body.c, body_render.c) ----------------------------------------------------------------- */
enum body_kind {
    BODY_TEXT, BODY_INT, BODY_BOOL, BODY_LITERAL, BODY_RAW, BODY_OBJECT, BODY_LIST, BODY_IF, BODY_EACH,
    BODY_PICK, BODY_MEMBERS
};
struct wanted { /* a value: one of these, or what fits the expression */
    struct str *any;
    bool *typed;    /* written as plain true, false or number: the JSON value must not be a string */
    size_t count;
    struct str re;  /* STR_NONE = none */
};
struct body_path {
    struct str *parts;
    size_t n;
    bool negated;
    bool tested;          /* if: the value must be what is wanted, not merely something */
    struct wanted wanted;
};
struct body {
    enum body_kind kind;
    struct body *next;
    struct str key;            /* inside an object; inside a pick: the value it stands for */
    struct body *first; /* object, list: children; pick: choices; if: then; each, members: what is done */
    struct body *other;        /* if, pick: else */
    struct text_leaf text;     /* text, int, bool; members: the key */
    struct str literal;        /* BODY_LITERAL: JSON text */
    struct body_path *paths;   /* raw, each, pick, members: one; if: any of them */
    size_t path_count;
    size_t most;               /* each, members: cap */
    bool splice;               /* a list from a part: inside a list its elements join it */
    struct str *needs;         /* members without which the object is left out */
    size_t need_count;
    unsigned drop;             /* left out at this drop level and above; 0 = never */
    struct body *dropped;      /* stands in for it then; NULL = nothing */
};
struct body_job {
    struct json view, message; /* message: the stored one, as the view's `message` */
    unsigned drop_level;
    struct arena *a;
};
/* Writes the tree as JSON. 0, or -1 when a leaf fails. */
int body_render(const struct body *b, const struct body_job *job, struct strbuf *out, struct err *err) WUR;

/* --- what an answer means (answer.c, judge.c, wait.c) --------------------------------------------------- */
struct pointer { struct str *parts; size_t n; struct str text; };
struct json_test { struct pointer at; bool absent; struct wanted wanted; };
struct header_test { struct str name; struct wanted wanted; };
struct status_range { int64_t least, most; };
struct answer_test { /* all that is given must hold */
    struct status_range *status;
    size_t status_count;
    struct json_test *json;
    size_t json_count;
    struct header_test *headers;
    size_t header_count;
    struct wanted body;
    bool has_body;
};
struct classify { struct answer_test test; enum verdict_class class; };
enum wait_kind { WAIT_DELTA, WAIT_EPOCH, WAIT_HTTP_DATE };
struct wait_source {
    bool header;           /* else JSON */
    struct str name;
    struct pointer at;
    int64_t unit_ms;       /* 1 or 1000 */
    enum wait_kind kind;
    int64_t cap_ms;        /* -1 = the destination's maximum age */
};
enum { CAPTURE_MOST = 1024 }; /* bytes of a captured id */
struct capture {
    struct str name;
    bool header;
    struct str header_name;
    struct pointer at;
    struct str before, after; /* text capture: what stands around it; before absent = not this kind */
};
struct answer { /* a response, looked at once */
    const struct notify_response *response;
    struct json json; /* absent when the body is none */
};
struct str answer_header(const struct notify_response *r, struct str name); /* STR_NONE = absent */
bool wanted_read(struct reader *r, const struct yaml_node *n, struct wanted *out);
bool wanted_holds(const struct wanted *w, struct json v);
bool answer_matches(const struct answer_test *t, const struct answer *answer);
/* What the provider asks to wait, ms, capped; 0 = nothing said. */
int64_t answer_wait(const struct wait_source *sources, size_t n, const struct answer *answer, int64_t now_ms,
                    int64_t max_age_ms);
bool http_date_parse(struct str s, int64_t *wall_ms); /* "Sun, 06 Nov 1994 08:49:37 GMT" */

/* --- signers (sign.c) ----------------------------------------------------------------------------------- */
enum sign_scheme { SIGN_NONE, SIGN_STANDARD_WEBHOOKS, SIGN_HMAC_HEADER };
struct signer {
    enum sign_scheme scheme;
    struct str secret;           /* name of the parameter */
    /* hmac_header only: */
    struct str header, prefix, timestamp_header, separator;
    bool base64;
};
struct sign_job { struct str secret, id, body; int64_t now_ms; };
enum { SIGN_HEADERS = 3 };       /* most headers a signer adds */
/* Appends the signer's headers to headers[*count]. */
int sign_request(const struct signer *s, const struct sign_job *job, struct arena *a,
                 struct notify_header *headers, size_t *count, struct err *err) WUR;

/* --- actions and providers (action.c, provider.c) ------------------------------------------------------- */
enum encoding { ENCODING_JSON, ENCODING_FORM, ENCODING_RAW, ENCODING_NONE };
struct header_leaf { struct str name; struct text_leaf value; };
struct action {
    const char *kind;            /* the message kind it was written for */
    bool skip;
    struct str method, url_source;
    struct text_leaf url;
    bool relative;               /* url starts with "/": base_url goes in front */
    struct header_leaf *headers;
    size_t header_count;
    enum encoding encoding;
    const struct body *body, *plain;
    size_t budget_most;          /* 0 = none */
    enum text_unit budget_unit;
    unsigned drop_levels;
    struct str *requires;        /* captures it needs */
    size_t require_count;
    const struct action *otherwise; /* taken when one is missing */
    struct answer_test success;
    struct classify *classify;
    size_t classify_count;
    struct wait_source *waits;
    size_t wait_count;
    int64_t default_wait_ms;
    struct capture *captures;
    size_t capture_count;
    struct pointer *explain;     /* where an error answer says why */
    size_t explain_count;
    struct signer sign;
};
enum param_type { PARAM_TEXT, PARAM_BOOL };
struct param {
    struct str name, fallback, pattern, wants, help;
    bool required, secret, settable;
    int type;
};
struct notify_provider {
    struct str name, type, about, base_url;
    struct field_texts when;
    struct param *params;
    size_t param_count;
    int transport;
    bool edits, acks, idempotent;
    int64_t in_flight, rate_n, rate_per_ms;
    const struct action *actions[MESSAGE_KINDS];
    const struct yaml_node *texts, *parts; /* for descriptors that share them */
    struct field_table settable; /* what a rule may set: {to: X, channel: ...} */
};
enum { PROVIDERS_MAX = 128 };
struct notify_providers { struct notify_provider *v[PROVIDERS_MAX]; size_t n; };
const struct param *provider_param(const struct notify_provider *p, struct str name); /* NULL = none */
const struct notify_param *destination_param(const struct notify_destination *d, struct str name);

/* --- reading a descriptor ------------------------------------------------------------------------------- */
struct reader {
    struct arena *a;
    struct diags *d;
    struct notify_provider *provider;
    const struct yaml_node *defaults, *actions;
    const struct notify_provider *shares; /* whose texts and parts are there too; NULL = none */
    template_escape_fn escape; /* of leaves that name none */
    struct str *captures;      /* names any action captures: the view's capture.NAME */
    size_t capture_count;
    unsigned uses;             /* depth of `use` */
    unsigned drop_levels;      /* highest $drop met */
    struct action *own[MESSAGE_KINDS]; /* actions written out, not named */
};
enum { USES_MAX = 16 };
/* All give false after adding a diagnostic. */
bool text_leaf_read(struct reader *r, const struct yaml_node *n, struct text_leaf *out);
bool text_source_read(struct reader *r, const struct yaml_node *n, template_escape_fn escape,
                      struct text_leaf *out);
struct body *body_read(struct reader *r, const struct yaml_node *n); /* NULL after a diagnostic */
const struct yaml_node *reader_part(struct reader *r,
                                    const struct yaml_node *use); /* the part named, or NULL */
bool answer_test_read(struct reader *r, const struct yaml_node *n, struct answer_test *out);
bool classify_read(struct reader *r, const struct yaml_node *n, struct action *out);
bool waits_read(struct reader *r, const struct yaml_node *n, struct action *out);
bool captures_read(struct reader *r, const struct yaml_node *n, struct action *out);
bool signer_read(struct reader *r, const struct yaml_node *n, struct signer *out);
bool pointer_read(struct reader *r, const struct yaml_node *n, struct str text, struct pointer *out);
bool actions_read(struct reader *r);
struct str *names_split(struct arena *a, struct str dotted, size_t *n); /* "a.b.c" */
#endif
