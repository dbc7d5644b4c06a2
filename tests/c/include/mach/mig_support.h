/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What stubs made by the stock MIG expect of a C library; mach_support.c defines it. */
#ifndef MIG_SUPPORT_H
#define MIG_SUPPORT_H

#include <mach/message.h>
#include <mach/port.h>

extern mach_port_t mig_get_reply_port (void);
extern void mig_put_reply_port (mach_port_t port);
extern void mig_dealloc_reply_port (mach_port_t port);
extern void *memcpy (void *to, const void *from, unsigned long size);
extern unsigned long mig_strncpy (char *to, const char *from, unsigned long size);

#endif
