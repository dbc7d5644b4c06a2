/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The little a freestanding C program needs to be a Mach task. */
#ifndef MACH_SUPPORT_H
#define MACH_SUPPORT_H

#include <mach/kern_return.h>
#include <mach/message.h>
#include <mach/port.h>

extern mach_port_t mach_task_self (void);
extern mach_port_t mach_reply_port (void);
extern void mach_print (const char *text);

/* Prints text, or a number in decimal, on the kernel's console. */
extern void say (const char *text);
extern void say_number (unsigned long number);

/* Ends the task, saying what went wrong, unless kr is KERN_SUCCESS. */
extern void check (const char *what, kern_return_t kr);

extern void finish (void) __attribute__ ((noreturn));

#endif
