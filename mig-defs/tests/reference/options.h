/* C types of options.defs. */
#include <mach/mach_types.h>
typedef char *far_t;
typedef char *either_t;
typedef const char *const_either_t;
typedef natural_t *numbers_t;
typedef const natural_t *const_numbers_t;
typedef natural_t near_t[10];
typedef mach_port_t *far_rights_t;
typedef mach_port_t *either_rights_t;
typedef const mach_port_t *const_either_rights_t;
typedef mach_port_t *either_lent_t;
typedef const mach_port_t *const_either_lent_t;
typedef char name_t[16];
typedef const char *const_name_t;
