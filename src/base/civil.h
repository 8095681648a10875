/* civil: dates of the proleptic Gregorian calendar as numbers of days since 1970-01-01. Pure. */
#ifndef BASE_CIVIL_H
#define BASE_CIVIL_H
#include "base/str.h"

int64_t civil_days(int64_t year, int month, int day);
void civil_date(int64_t days, int64_t *year, int *month, int *day);
int civil_month_days(int64_t year, int month); /* 28 to 31 */
int civil_weekday(int64_t days);               /* 0 is Monday, 6 is Sunday */
/* Whole of s as YYYY-MM-DD; false on anything else, impossible dates included. */
bool civil_parse(struct str s, int64_t *days);
/* a / b rounded down; b is above 0. */
static inline int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }
#endif
