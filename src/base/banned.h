/* banned: forced into every unit by -include. Functions that cannot be used safely are compile errors. */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets strtok gmtime localtime ctime \
    asctime strerror atoi sscanf
#endif
