/* C types of trace.defs. Every field is little-endian; trace-port/src/record.rs says what each one means. */
#ifndef TRACE_TYPES_H
#define TRACE_TYPES_H

#include <stdint.h>

/* special port of task_get_special_port and task_set_special_port */
#define TASK_TRACE_PORT		5
/* of task_get_special_port alone: memory objects of the ring of the caller's trace port, to be mapped */
#define TASK_TRACE_RING		6
#define TASK_TRACE_READER	7

#define TRACE_VERSION		6

/* in dropped: a child of the task is not traced; the rest counts lost records */
#define TRACE_CHILD_NOT_TRACED	0x80000000u

#define TRACE_SEND		0
#define TRACE_RECEIVE		1
/* in direction: the message is of the 32-bit format */
#define TRACE_ILP32		0x80

#define TRACE_NORMAL		0
#define TRACE_TASK		1
#define TRACE_THREAD		2
#define TRACE_TASK_EXCEPTION	3
#define TRACE_THREAD_EXCEPTION	4
/* A trap that gave the task a right: its number in options, the name in rcv_name. */
#define TRACE_TRAP		5
/* No message: records were lost after the last one of a trace that has ended; dropped says how many. */
#define TRACE_LOST		6
/* No message, and for engines alone that ask for it: trace_control.defs. */
#define TRACE_TASK_BIRTH	7
#define TRACE_THREAD_BIRTH	8
#define TRACE_THREAD_DEATH	9
#define TRACE_TASK_DEATH	10
#define TRACE_ENGINE_END	11
/* A message that the thread is about to send; it waits for trace_answer. */
#define TRACE_STOPPED		12

typedef struct {
	uint16_t version;
	uint8_t direction;
	uint8_t kind;
	uint32_t options;
	uint32_t retval;
	uint32_t thread;
	uint64_t sequence;
	uint64_t correlation;
	uint64_t time;
	uint32_t message_size;
	uint32_t captured_size;
	uint32_t dropped;
	uint32_t rcv_name;
	uint32_t time_out;
	uint32_t notify;
	uint32_t task;
	uint32_t sender;
	uint32_t ports;
	uint32_t reserved;
} trace_header_t;

_Static_assert (sizeof (trace_header_t) == 80, "trace_header_t is 80 bytes on the wire");

/* What a name in a message stands for: trace-port/src/port.rs. */
typedef struct {
	uint32_t name;
	uint32_t number;
	uint8_t kind;
	uint8_t flags;
	uint8_t reserved[2];
	uint32_t object;
} trace_port_t;

_Static_assert (sizeof (trace_port_t) == 16, "trace_port_t is 16 bytes on the wire");

#define TRACE_RECEIVED_ON	1
/* in flags: an element of an array of rights out of line */
#define TRACE_OUT_OF_LINE	2
/* in kind: an element of which no more is known than its name */
#define TRACE_NOTHING		0xfe
#define TRACE_PORT_SET		0xff

typedef const char *trace_message_t;

/* In a trace_records: where the message of the record at p stands, its ports, and the next record. */
#define TRACE_MESSAGE(p)	((p) + sizeof (trace_header_t) + 8)
#define TRACE_PORTS(p)		(TRACE_MESSAGE (p) + ((((const trace_header_t *) (p))->captured_size + 7) & ~7u))
#define TRACE_NEXT(p)		(TRACE_PORTS (p) + ((const trace_header_t *) (p))->ports * sizeof (trace_port_t) + 8)

#endif
