/* config_internal: loading, split by section. */
#ifndef CONFIG_CONFIG_INTERNAL_H
#define CONFIG_CONFIG_INTERNAL_H
#include <stdatomic.h>
#include <sys/types.h>

#include "config/config.h"

struct file_id { dev_t device; ino_t inode; };
struct loader {
    struct config *c;
    struct arena *a;      /* &c->arena */
    struct diags *d;
    bool check_only;      /* secrets that cannot be resolved are warnings */
    bool rules_only;      /* a file of rules alone: destinations are placeholders */
    const char *rules_path; /* rules of this file instead of the configuration's own; NULL = its own */
    struct str rules_text;  /* or these */
    struct file_id *file_ids; /* files met so far */
    size_t file_id_count;
    bool too_many;        /* files: said once */
};
/* files.c: reads the main file and what it includes into c->files; false when the main one cannot be read. */
bool config_read_files(struct loader *l, const char *path);
/* settings.c: server, store, log, heartbeat. */
void config_read_settings(struct loader *l, const struct yaml_node *top);
/* The tables that each of these files reads by, for describe.c. The first of destinations.c is what every destination
 * may have; those of sources.c are in the order of enum source_type. */
const struct field_part *config_settings_parts(size_t *n);
const struct field_part *config_source_parts(size_t *n);
const struct field_part *config_destination_parts(size_t *n);
/* describe.c: the keys at the top of a file; included: of one that another includes. */
const struct field_table *config_top_table(bool included);
/* sources.c */
void config_read_sources(struct loader *l, const struct yaml_node *sources);
/* observe.c: every rule must be able to hit by some source, or is told why it never will. */
void config_check_observable(struct loader *l);
/* destinations.c */
void config_read_tls(struct loader *l, const struct yaml_node *tls, const char *whose, struct str *ca, bool *insecure);
void config_read_destinations(struct loader *l, const struct yaml_node *destinations);
/* The destination's own channel, perhaps a pattern; STR_NONE when its type has none. */
struct str config_channel(const struct notify_destination *d);
/* Warns of destinations that are told nothing. */
void config_check_used(struct loader *l, const struct yaml_node *destinations);
/* For rules: the configured ones, or placeholders for every name that rules use. */
void config_rule_world(struct loader *l, struct rule_world *w);
/* A secret or text with references; failures are reported at the node. */
bool config_secret(struct loader *l, const struct yaml_node *n, struct secret *out);
/* No line is shown with the secret that a map has under this key. A reference is none. */
void config_hide(struct loader *l, const struct yaml_node *map, const char *key);
/* Warns when a secret is written down instead of referred to. */
void config_warn_literal(struct loader *l, const struct yaml_node *n, const struct secret *s, const char *what);
bool config_name_ok(struct str name);
/* Reports a text that is no URL with a host, under http or https; an absent one is fine. */
void config_check_url(struct loader *l, const struct yaml_node *map, const char *key, struct str url);
/* Did a syntax error end the reading of some file? Then what seems to be missing may stand below it. */
bool config_is_cut(const struct config *c);
#endif
