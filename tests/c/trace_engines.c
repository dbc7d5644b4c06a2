/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A user of engines in C: asks the kernel with the stubs that the stock MIG makes of trace_control.defs.
 *
 * It creates a task, makes an engine of it, finds the engine in the task's list and by its name, changes what it is told of, lets it go, and
 * prints what the kernel says. On a kernel without engines it says so.
 */
#include "mach_support.h"

#include <mach/mig_errors.h>

#include "mach.user.h"
#include "mach_port.user.h"
#include "trace_control.user.h"
#include "trace_types.h"

static const trace_name_t name = { "in C" };

static void
show (const trace_engine_t *engine)
{
  say ("engine ");
  say_number (engine->number);
  say (" `");
  say (engine->name.text);
  say ("' of ");
  say (engine->owner != 0 ? "somebody" : "nobody");
  say (": flags ");
  say_number (engine->flags);
  say (" events ");
  say_number (engine->events);
  say (" policy ");
  say_number (engine->policy);
  say (" rules ");
  say_number (engine->rules);
  say (" tasks ");
  say_number (engine->tasks);
  say (" lost ");
  say_number (engine->lost);
  say ("\n");
}

/* What the kernel says of this code. */
static void
expect (const char *what, kern_return_t expected, kern_return_t found)
{
  say (what);
  say (expected == found ? ": as expected\n" : ": NOT AS EXPECTED\n");
}

int
main (int argc, char **argv)
{
  mach_port_t port, task, engine, again;
  trace_limits_t limits;
  trace_engine_t state;
  trace_engines_t engines;
  mach_msg_type_number_t count = 8;
  trace_rules_t rules = { { TRACE_RULE_SEND, 2000, 2100, 0 }, { TRACE_RULE_FAILED, 0, ~0u, 0 } };
  trace_actions_t actions = { { 2000, 2100, TRACE_FAIL, 1, 1, 0 } };
  kern_return_t kr = trace_version (mach_task_self (), &limits);

  if (kr == MIG_BAD_ID)
    {
      say ("this kernel has no engines\n");
      return 1;
    }
  check ("trace_version", kr);
  say ("version ");
  say_number (limits.version);
  say (limits.version == TRACE_CONTROL_VERSION && limits.record == TRACE_VERSION ? ", engines " : " IS ANOTHER, engines ");
  say_number (limits.engines);
  say (", rules ");
  say_number (limits.rules);
  say (", tasks ");
  say_number (limits.tasks);
  say ("\n");

  check ("mach_port_allocate", mach_port_allocate (mach_task_self (), MACH_PORT_RIGHT_RECEIVE, &port));
  check ("mach_port_insert_right", mach_port_insert_right (mach_task_self (), port, port, MACH_MSG_TYPE_MAKE_SEND));
  check ("task_create", task_create (mach_task_self (), TRUE, &task));
  check ("trace_attach", trace_attach (task, port, MACH_MSG_TYPE_COPY_SEND, name, TRACE_CREATE | TRACE_CHILDREN,
				       TRACE_EVENT_SEND, TRACE_DROP, &engine));
  check ("trace_engines", trace_engines (task, engines, &count));
  say_number (count);
  say (count == 1 ? " engine: " : " engines: ");
  for (mach_msg_type_number_t i = 0; i < count; i++)
    show (&engines[i]);
  check ("trace_attach", trace_attach (task, MACH_PORT_NULL, MACH_MSG_TYPE_COPY_SEND, name, TRACE_MATCH, 0, 0, &again));
  say (again == engine ? "found again\n" : "ANOTHER PORT\n");
  check ("trace_set_events", trace_set_events (engine, TRACE_EVENT_SEND | TRACE_EVENT_TASK_DEATH, TRACE_BLOCK));
  check ("trace_set_filter", trace_set_filter (engine, 64, rules, 2));
  check ("trace_engine", trace_engine (engine, &state));
  show (&state);
  expect ("an engine without TRACE_CONTROL", KERN_NO_ACCESS, trace_set_actions (engine, actions, 1));
  expect ("nobody waits", KERN_INVALID_ARGUMENT, trace_answer (engine, 1, TRACE_GO, 0));
  check ("trace_detach", trace_detach (engine, task, MACH_MSG_TYPE_COPY_SEND));
  check ("trace_barrier", trace_barrier (engine));
  expect ("a task that is not its own", KERN_INVALID_TASK, trace_detach (engine, task, MACH_MSG_TYPE_COPY_SEND));
  expect ("a task is no engine", KERN_INVALID_ARGUMENT, trace_engine (task, &state));
  count = 8;
  check ("trace_engines", trace_engines (task, engines, &count));
  say_number (count);
  say (" engines\n");
  check ("task_terminate", task_terminate (task));
  return 0;
}
