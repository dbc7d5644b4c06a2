/* C types of ioctls.defs. */
#pragma once
#include <mach/mach_types.h>
typedef int kern_t;
typedef long long loff_t;
typedef int modes_t[4];
typedef char ccs_t[20];
typedef int speeds_t[2];
typedef struct { short numbers[4]; } winsize_t;
typedef struct { short numbers[5]; } odd_t;
typedef struct { char bytes[16]; } address_t;
typedef char ifname_t[16];
typedef char *data_t;
typedef const char *const_data_t;
typedef struct { int destination; loff_t mask; short class; int flags; ifname_t device; } route_t;
typedef loff_t wides_t[3];
