/* C types of trace_control.defs. Every field is little-endian; trace-port/src/control.rs says what each one means. */
#ifndef TRACE_CONTROL_TYPES_H
#define TRACE_CONTROL_TYPES_H

#include <stdint.h>

#define TRACE_CONTROL_VERSION	3

/* flags of trace_attach and of trace_engine_t */
#define TRACE_CREATE		1
#define TRACE_EXCLUSIVE		2
#define TRACE_MATCH		4
#define TRACE_CHILDREN		8
#define TRACE_CONTROL		16
#define TRACE_BIRTHS		32

/* events */
#define TRACE_EVENT_SEND	0x01
#define TRACE_EVENT_RECEIVE	0x02
#define TRACE_EVENT_CONTROL	0x04
#define TRACE_EVENT_EXCEPTION	0x08
#define TRACE_EVENT_TRAP	0x10
#define TRACE_EVENT_FAILED	0x20
#define TRACE_EVENT_TASK_BIRTH	0x40
#define TRACE_EVENT_THREAD_BIRTH	0x80
#define TRACE_EVENT_THREAD_DEATH	0x100
#define TRACE_EVENT_TASK_DEATH	0x200
#define TRACE_EVENT_END		0x400
#define TRACE_EVENT_STOP	0x800
#define TRACE_EVENT_KERNEL_CALL	0x1000
#define TRACE_EVENT_RPC_TRAP	0x2000

/* policy */
#define TRACE_BLOCK		0
#define TRACE_DROP		1

/* flags of trace_rule_t */
#define TRACE_RULE_SEND		1
#define TRACE_RULE_RECEIVE	2
#define TRACE_RULE_FAILED	4
#define TRACE_RULE_NO_MESSAGE	8
#define TRACE_RULE_ANSWERS	16

/* what of trace_action_t and of trace_answer */
#define TRACE_GO		0
#define TRACE_STOP		1
#define TRACE_FAIL		2
#define TRACE_REPLY		3
#define TRACE_DELAY		4
#define TRACE_HOLD		5

/* place of trace_report_t, and sender of the record of a thread that has stopped */
#define TRACE_BEFORE_SEND	0
#define TRACE_BEFORE_RETURN	1
#define TRACE_AT_BIRTH		2
#define TRACE_ON_REQUEST	3

/* flags of trace_report_t */
#define TRACE_THREAD_STOPPED	1
#define TRACE_THREAD_STANDS	2
#define TRACE_THREAD_HALTING	4
#define TRACE_THREAD_HALTED	8

/* mode of trace_owner_t */
#define TRACE_OWNER_OFF		0
#define TRACE_OWNER_FOREGROUND	1
#define TRACE_OWNER_BACKGROUND	2

/* flags of trace_owner_t */
#define TRACE_OWNER_KEEPS	1
#define TRACE_OWNER_KERNEL	2
#define TRACE_OWNER_POLICY	4

/* policy of trace_owner_policy */
#define TRACE_OWNER_ONLY	0
#define TRACE_OWNER_ANYONE	1

/* parts */
#define TRACE_PART_TASKS	1
#define TRACE_PART_RECORDER	2

/* what the kernel sends to the port of trace_owner_set_background */
#define TRACE_OWNER_AVAILABLE_ID	5150

typedef struct {
	char text[32];
} trace_name_t;

typedef struct {
	uint32_t version;
	uint32_t record;
	uint32_t engines;
	uint32_t rules;
	uint32_t tasks;
	uint32_t flags;
	uint32_t events;
	uint32_t policies;
} trace_limits_t;

typedef struct {
	trace_name_t name;
	uint32_t number;
	uint32_t owner;
	uint32_t flags;
	uint32_t events;
	uint32_t policy;
	uint32_t rules;
	uint32_t tasks;
	uint32_t lost;
} trace_engine_t;

typedef trace_engine_t trace_engines_t[8];

typedef struct {
	uint32_t flags;
	uint32_t first;
	uint32_t last;
	uint32_t port;
} trace_rule_t;

typedef trace_rule_t trace_rules_t[16];

typedef struct {
	uint32_t first;
	uint32_t last;
	uint32_t what;
	uint32_t value;
	uint32_t nth;
	uint32_t step;
} trace_action_t;

typedef trace_action_t trace_actions_t[16];

typedef struct {
	uint32_t flags;
	uint32_t place;
	uint32_t stops;
	uint32_t stop;
} trace_report_t;

typedef struct {
	trace_name_t configured_by;
	uint32_t mode;
	uint32_t owner;
	uint32_t background;
	uint32_t parts;
	uint32_t flags;
	uint32_t engine;
	uint32_t tools;
	uint32_t reserved;
} trace_owner_t;

_Static_assert (sizeof (trace_owner_t) == 64, "trace_owner_t is 64 bytes on the wire");
_Static_assert (sizeof (trace_report_t) == 16, "trace_report_t is 16 bytes on the wire");
_Static_assert (sizeof (trace_limits_t) == 32, "trace_limits_t is 32 bytes on the wire");
_Static_assert (sizeof (trace_engine_t) == 64, "trace_engine_t is 64 bytes on the wire");
_Static_assert (sizeof (trace_rule_t) == 16, "trace_rule_t is 16 bytes on the wire");
_Static_assert (sizeof (trace_action_t) == 24, "trace_action_t is 24 bytes on the wire");

#endif
