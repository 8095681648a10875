/* failpoint: named places where the crash tests kill the process (reliability.md section 5).
 * RUNBELL_FAILPOINT=name kills at the first pass with SIGKILL, name:N at the N-th. Built in always: one
 * load of a static pointer per pass; without the variable nothing happens. Any thread. */
#ifndef BASE_FAILPOINT_H
#define BASE_FAILPOINT_H

void failpoint_setup(void); /* once, at start, before threads */
void failpoint(const char *name);
#endif
