/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entry, traps and MIG support of the C test programs. */
#include "mach_support.h"

#include <mach/mig_support.h>
#include "mach.user.h"

asm (".globl _start\n"
     "_start:\n"
     "	mov %rsp, %rdi\n"
     "	and $-16, %rsp\n"
     "	call start\n"
     "	hlt\n");

/* Number in rax, arguments as for a function, the fourth in r10; the seventh stays on the stack. */
#define TRAP(name, number)			\
  asm (".globl " #name "\n"			\
       #name ":\n"				\
       "	mov $-" #number ", %rax\n"	\
       "	mov %rcx, %r10\n"		\
       "	syscall\n"			\
       "	ret\n")

TRAP (mach_msg_trap, 25);
TRAP (mach_reply_port, 26);
TRAP (mach_task_self, 28);
TRAP (mach_print, 30);

extern mach_msg_return_t mach_msg_trap (mach_msg_header_t *msg, mach_msg_option_t option, mach_msg_size_t send_size,
					mach_msg_size_t rcv_size, mach_port_t rcv_name, mach_msg_timeout_t timeout,
					mach_port_t notify);
extern int main (int argc, char **argv);

void
start (unsigned long *stack)
{
  main ((int) stack[0], (char **) (stack + 1));
  finish ();
}

mach_msg_return_t
mach_msg (mach_msg_header_t *msg, mach_msg_option_t option, mach_msg_size_t send_size, mach_msg_size_t rcv_size,
	  mach_port_t rcv_name, mach_msg_timeout_t timeout, mach_port_t notify)
{
  return mach_msg_trap (msg, option, send_size, rcv_size, rcv_name, timeout, notify);
}

mach_port_t
mig_get_reply_port (void)
{
  return mach_reply_port ();
}

void
mig_put_reply_port (mach_port_t port)
{
}

void
mig_dealloc_reply_port (mach_port_t port)
{
}

unsigned long
mig_strncpy (char *to, const char *from, unsigned long size)
{
  unsigned long length = 0;
  while (length + 1 < size && from[length] != '\0')
    {
      to[length] = from[length];
      length++;
    }
  to[length] = '\0';
  return length;
}

void *
memcpy (void *to, const void *from, unsigned long size)
{
  for (unsigned long i = 0; i < size; i++)
    ((char *) to)[i] = ((const char *) from)[i];
  return to;
}

void *
memset (void *to, int byte, unsigned long size)
{
  for (unsigned long i = 0; i < size; i++)
    ((char *) to)[i] = (char) byte;
  return to;
}

void
say (const char *text)
{
  mach_print (text);
}

void
say_number (unsigned long number)
{
  char digits[24];
  int place = sizeof digits - 1;
  digits[place] = '\0';
  do
    digits[--place] = '0' + number % 10;
  while ((number /= 10) != 0);
  mach_print (digits + place);
}

void
check (const char *what, kern_return_t kr)
{
  if (kr == KERN_SUCCESS)
    return;
  say (what);
  say (": ");
  say_number ((unsigned int) kr);
  say ("\n");
  finish ();
}

void
finish (void)
{
  task_terminate (mach_task_self ());
  for (;;)
    asm volatile ("pause");
}
