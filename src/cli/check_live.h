/* check_live: the names of the rules beside what the store's log has seen. */
#ifndef CLI_CHECK_LIVE_H
#define CLI_CHECK_LIVE_H
#include "config/config.h"
#include "replay/seen.h"

/* Reads the log of the store of `from` and warns in d of names in c's rules that it has not. *seen is to be given to
 * seen_fini, whatever comes of it. 0, or an exit status after saying why. */
int check_live(const struct config *c, const struct config *from, struct diags *d, struct seen *seen);
void check_live_print(const struct seen *seen);
void check_live_write(const struct seen *seen, struct json_writer *w); /* one object */
#endif
