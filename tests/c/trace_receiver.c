/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tracer in C: receives trace records with the server stub that the stock MIG makes of trace.defs.
 *
 * It creates a task with a copy of its own memory, sets the task's trace port, lets a thread in it make two RPCs and end, and
 * prints one line for each record until the port has no senders. Its own RPCs on the task and the thread are among them. On a kernel without a trace port it says so.
 */
#include "mach_support.h"

#include <mach/machine/thread_status.h>
#include <mach/mig_errors.h>
#include <mach/notify.h>

#include "mach.user.h"
#include "mach_port.user.h"
#include "trace_types.h"

extern boolean_t trace_server (mach_msg_header_t *request, mach_msg_header_t *reply);

static char child_stack[16384] __attribute__ ((aligned (16)));
static unsigned long records, lost;

/* What the traced task does: two RPCs, then its end. */
static void
child (void)
{
  vm_address_t page = 0;
  vm_allocate (mach_task_self (), &page, 4096, TRUE);
  vm_deallocate (mach_task_self (), page, 4096);
  finish ();
}

/* How much a record has after its header. */
static unsigned long
carried (const trace_header_t *header)
{
  if (header->ports == 0)
    return header->captured_size;
  return ((header->captured_size + 7) & ~7ul) + header->ports * sizeof (trace_port_t);
}

static void
show (trace_header_t header, trace_message_t message, mach_msg_type_number_t size)
{
  const mach_msg_header_t *traced = (const mach_msg_header_t *) message;

  records++;
  lost += header.dropped & ~TRACE_CHILD_NOT_TRACED;
  say ("record ");
  say_number (header.sequence);
  if (header.kind == TRACE_TRAP)
    {
      say (": trap ");
      say_number (header.options);
      say (header.rcv_name != 0 && header.ports == 1 ? " gives a right\n" : " gives nothing\n");
      return;
    }
  say (header.kind == TRACE_TASK ? ": task" : header.kind == TRACE_THREAD ? ": thread" : ":");
  say ((header.direction & ~TRACE_ILP32) == TRACE_SEND ? " send" : " receive");
  say (" msgh_id ");
  say_number (header.captured_size >= sizeof *traced ? (unsigned long) traced->msgh_id : 0);
  say (" size ");
  say_number (header.message_size);
  say (" retval ");
  say_number (header.retval);
  say (" thread ");
  say_number (header.thread);
  say (" correlation ");
  say_number (header.correlation);
  say (header.version == TRACE_VERSION && carried (&header) == size ? "\n" : " BAD HEADER\n");
}

/* Called by the stock server stub for each record. */
kern_return_t
S_trace_record (mach_port_t trace_port, mach_port_t task, trace_header_t header, trace_message_t message,
		mach_msg_type_number_t size)
{
  show (header, message, size);
  return MIG_NO_REPLY;
}

/* Called by the stock server stub for several records of one task. */
kern_return_t
S_trace_records (mach_port_t trace_port, mach_port_t task, trace_message_t records, mach_msg_type_number_t size)
{
  const char *p = records, *end = records + size;

  while (end - p >= (long) (sizeof (trace_header_t) + 8))
    {
      const trace_header_t *header = (const trace_header_t *) p;

      if (carried (header) > (unsigned long) (end - TRACE_MESSAGE (p)))
	{
	  say ("BAD RECORDS\n");
	  break;
	}
      show (*header, TRACE_MESSAGE (p), carried (header));
      p = TRACE_NEXT (p);
    }
  return MIG_NO_REPLY;
}

/* Called by the stock server stub where records are in the ring of the port, which this program has not asked for. */
kern_return_t
S_trace_ring (mach_port_t trace_port)
{
  return MIG_NO_REPLY;
}

static void
receive (mach_port_t port)
{
  static union
  {
    mach_msg_header_t head;
    char space[8192];
  } request, reply;

  for (;;)
    {
      check ("receive", mach_msg (&request.head, MACH_RCV_MSG, 0, sizeof request, port, MACH_MSG_TIMEOUT_NONE,
				  MACH_PORT_NULL));
      if (request.head.msgh_id == MACH_NOTIFY_NO_SENDERS)
	return;
      if (!trace_server (&request.head, &reply.head))
	say ("not a trace record\n");
    }
}

int
main (int argc, char **argv)
{
  mach_port_t port, previous, task, thread;
  struct i386_thread_state state;
  mach_msg_type_number_t count = i386_THREAD_STATE_COUNT;
  kern_return_t kr;

  check ("mach_port_allocate", mach_port_allocate (mach_task_self (), MACH_PORT_RIGHT_RECEIVE, &port));
  check ("mach_port_insert_right", mach_port_insert_right (mach_task_self (), port, port, MACH_MSG_TYPE_MAKE_SEND));
  check ("task_create", task_create (mach_task_self (), TRUE, &task));
  kr = task_set_special_port (task, TASK_TRACE_PORT, port);
  if (kr == KERN_INVALID_ARGUMENT)
    {
      say ("this kernel has no trace port\n");
      return 1;
    }
  check ("task_set_special_port", kr);

  check ("thread_create", thread_create (task, &thread));
  check ("thread_get_state", thread_get_state (thread, i386_REGS_SEGS_STATE, (thread_state_t) &state, &count));
  state.rip = (unsigned long) child;
  state.ursp = (unsigned long) (child_stack + sizeof child_stack - 8);
  check ("thread_set_state", thread_set_state (thread, i386_REGS_SEGS_STATE, (thread_state_t) &state, count));
  check ("thread_resume", thread_resume (thread));

  /* The kernel's own right and those in queued records are the only senders left. */
  check ("mach_port_mod_refs", mach_port_mod_refs (mach_task_self (), port, MACH_PORT_RIGHT_SEND, -1));
  check ("mach_port_request_notification",
	 mach_port_request_notification (mach_task_self (), port, MACH_NOTIFY_NO_SENDERS, 1, port,
					 MACH_MSG_TYPE_MAKE_SEND_ONCE, &previous));
  receive (port);
  say ("no senders left; records ");
  say_number (records);
  say (", lost ");
  say_number (lost);
  say ("\n");
  return 0;
}
