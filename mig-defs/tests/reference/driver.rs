// SPDX-License-Identifier: GPL-2.0-or-later
//! A C program around migcom's stubs: calls each user stub, or answers in each server procedure, with values that come on
//! its standard input, and writes what the stub made of them to its standard output.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mig_defs::model::{Argument, Model, Role, Routine, Type};

/// Where the driver maps the values, so that a test knows the address of each.
pub(crate) const ARENA: u64 = 0x1000_0000;
/// Bytes of the three tables at its start: offset, bytes to answer, bytes to log for each parameter.
pub(crate) const TABLES: usize = 3 * SLOTS * 4;
/// Entries of each table. The last is the message that the driver delivers.
pub(crate) const SLOTS: usize = 40;

/// A parameter of a C function.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    ty: String,
    pub(crate) name: String,
    pub(crate) pointer: bool,
}

/// What a parameter is to its routine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Value,
    Count,
    Poly,
    Dealloc,
    ServerCopy,
}

/// The prototype of `name` in a header that migcom wrote.
pub(crate) fn prototype(header: &str, name: &str) -> Vec<Parameter> {
    let start = header.find(&format!(" {name}\n(\n")).unwrap_or_else(|| panic!("no prototype of {name}"));
    let text = header[start..].split_once("(\n").and_then(|(_, rest)| rest.split_once("\n)")).expect("parameters").0;
    let lines = text.lines().map(|line| line.trim().trim_end_matches(','));
    lines
        .map(|line| {
            let (ty, name) = line.rsplit_once(' ').expect("type and name");
            let pointer = name.starts_with('*');
            Parameter { ty: ty.to_string(), name: name.trim_start_matches('*').to_string(), pointer }
        })
        .collect()
}

/// Which argument a parameter belongs to.
pub(crate) fn part<'a>(routine: &'a Routine, parameter: &Parameter) -> (usize, &'a Argument, Part) {
    let suffixes = [
        ("", Part::Value),
        ("Cnt", Part::Count),
        ("Poly", Part::Poly),
        ("Dealloc", Part::Dealloc),
        ("SCopy", Part::ServerCopy),
    ];
    for (suffix, part) in suffixes {
        let name = parameter.name.strip_suffix(suffix);
        let found = routine.arguments.iter().enumerate().find(|(_, argument)| name == Some(&*argument.name));
        if let Some((index, argument)) = found {
            return (index, argument, part);
        }
    }
    panic!("{}: no argument for {parameter:?}", routine.name)
}

/// Whether C passes the value itself.
pub(crate) fn by_value(model: &Model, argument: &Argument, part: Part, parameter: &Parameter) -> bool {
    let ty = model.ty(argument.ty);
    let array = ty.inline && (ty.var_array || !ty.assignable);
    !parameter.pointer && (part != Part::Value || !array || matches!(argument.role, Role::RequestPort))
}

const COMMON: &str = r"
extern long read (int, void *, unsigned long);
extern long write (int, const void *, unsigned long);
extern void *mmap (void *, unsigned long, int, int, int, long);
extern void _exit (int);
#define ARENA ((unsigned char *) 0x10000000UL)
#define P(i) (ARENA + ((unsigned *) ARENA)[i])
#define ANSWER(i) (((unsigned *) ARENA)[SLOTS + (i)])
#define LOG(i) (((unsigned *) ARENA)[2 * SLOTS + (i)])
#define DELIVERED (SLOTS - 1)

static void
get (void *to, unsigned long size)
{
  for (unsigned long have = 0; have < size;)
    {
      long more = read (0, (char *) to + have, size - have);
      if (more <= 0)
	_exit (have != 0);
      have += more;
    }
}

static void
put (const void *from, unsigned size)
{
  write (1, &size, 4);
  for (unsigned long had = 0; had < size;)
    {
      long more = write (1, (const char *) from + had, size - had);
      if (more <= 0)
	_exit (1);
      had += more;
    }
}

static int answer;

mach_port_t mig_get_reply_port (void) { return 0x900; }
void mig_put_reply_port (mach_port_t port) { }
void mig_dealloc_reply_port (mach_port_t port) { }
/* For an array with more elements than there may be: the arena has room for one more. */
void mig_allocate (vm_address_t *address, vm_size_t size) { }
void mig_deallocate (vm_address_t address, vm_size_t size) { }

vm_size_t
mig_strncpy (char *to, const char *from, vm_size_t size)
{
  unsigned long length = 0;
  while (length + 1 < size && from[length] != 0)
    {
      to[length] = from[length];
      length++;
    }
  to[length] = 0;
  return length;
}

mach_msg_return_t
mach_msg (mach_msg_header_t *msg, mach_msg_option_t option, mach_msg_size_t send_size, mach_msg_size_t rcv_size,
	  mach_port_t rcv_name, mach_msg_timeout_t timeout, mach_port_t notify)
{
  unsigned call[4] = { option, rcv_size, rcv_name, timeout };
  put (msg, send_size);
  put (call, sizeof call);
  if (answer != 0 || !(option & MACH_RCV_MSG))
    return answer;
  if (ANSWER (DELIVERED) > rcv_size)
    return MACH_RCV_TOO_LARGE;
  memcpy (msg, P (DELIVERED), ANSWER (DELIVERED));
  return 0;
}
";

/// The loop: takes a case, runs `body`.
fn main_loop(body: &str) -> String {
    format!(
        r"
int
main (void)
{{
  unsigned head[4];
  mmap (ARENA, 1 << 20, 3, 0x32, -1, 0);
  for (;;)
    {{
      get (head, sizeof head);
      get (ARENA, head[1]);
      answer = head[2];
{body}
      unsigned end = ~0U;
      write (1, &end, 4);
    }}
}}
"
    )
}

/// The driver of the user stubs in `user.c`.
pub(crate) fn user(model: &Model, header: &str) -> String {
    let mut cases = String::new();
    for routine in &model.routines {
        let arguments: Vec<String> = prototype(header, &routine.user_name)
            .iter()
            .enumerate()
            .map(|(slot, parameter)| {
                let (_, argument, part) = part(routine, parameter);
                match by_value(model, argument, part, parameter) {
                    true => format!("*({} *) P ({slot})", parameter.ty),
                    false => format!("(void *) P ({slot})"),
                }
            })
            .collect();
        writeln!(
            cases,
            "        case {}: result = {} ({}); break;",
            routine.number,
            routine.user_name,
            arguments.join(", ")
        )
        .expect("writes to a string");
    }
    let body = format!(
        "      int result = -1;\n      switch (head[0])\n        {{\n{cases}        }}\n      \
         put (&result, 4);\n      put (ARENA, head[1]);"
    );
    format!("#include \"user.c\"\n#define SLOTS {SLOTS}\n{COMMON}{}", main_loop(&body))
}

/// The driver of the server in `server.c`.
pub(crate) fn server(model: &Model, text: &str, header: &str) -> String {
    let mut procedures = String::new();
    for routine in &model.routines {
        let parameters = prototype(header, &routine.server_name);
        let declared: Vec<String> = parameters
            .iter()
            .map(|one| format!("{} {}{}", one.ty, if one.pointer { "*" } else { "" }, one.name))
            .collect();
        let mut body = String::new();
        for (slot, parameter) in parameters.iter().enumerate() {
            let (_, argument, part) = part(routine, parameter);
            let name = &parameter.name;
            let call = match by_value(model, argument, part, parameter) {
                true => format!("put (&{name}, sizeof {name});"),
                false => {
                    format!("both ({slot}, (void *) {name}, {});", i32::from(indefinite_out(model, argument, part)))
                }
            };
            writeln!(body, "  {call}").expect("writes to a string");
        }
        let name = &routine.server_name;
        writeln!(procedures, "kern_return_t\n{name} ({})\n{{\n{body}  return answer;\n}}\n", declared.join(", "))
            .expect("writes to a string");
    }
    let demux = demux_name(text);
    let both = r"
static void
both (int slot, void *at, int indefinite)
{
  put (LOG (slot) == ~0U ? (void *) &at : at, LOG (slot) == ~0U ? 8 : LOG (slot));
  if (indefinite && ANSWER (slot) == ~0U)
    *(void **) at = P (slot);
  else if (indefinite)
    memcpy (*(void **) at, P (slot), ANSWER (slot));
  else
    memcpy (at, P (slot), ANSWER (slot));
}
";
    let body = format!(
        "      static char reply[1 << 18];\n      memset (reply, 0, sizeof reply);\n      int served = {demux} ((void *) P (DELIVERED), (void *) reply);\n      \
         put (&served, 4);\n      put (reply, ((mach_msg_header_t *) reply)->msgh_size);"
    );
    format!("#include \"server.c\"\n#define SLOTS {SLOTS}\n{COMMON}{both}{procedures}{}", main_loop(&body))
}

/// Whether a server's procedure may answer with other memory than it was given.
fn indefinite_out(model: &Model, argument: &Argument, part: Part) -> bool {
    part == Part::Value && argument.role.in_reply() && model.ty(argument.ty).indefinite
}

fn demux_name(server: &str) -> &str {
    let end = server
        .rfind("\n\t(mach_msg_header_t *InHeadP, mach_msg_header_t *OutHeadP)\n{\n\tmach_msg_header_t *InP")
        .expect("demux");
    server[..end].rsplit(' ').next().expect("a name")
}

/// Compiles a driver; what gcc says if it refuses.
pub(crate) fn build(model: &Model, text: &str, headers: &Path, scratch: &Path, name: &str) -> Result<PathBuf, String> {
    let program = scratch.join(name);
    let Err(error) = compile(text, headers, scratch, name) else { return Ok(program) };
    // Some types of old .defs are in no header.
    let unknown: BTreeMap<&str, &Type> = error
        .split("unknown type name ‘")
        .skip(1)
        .filter_map(|rest| rest.split_once('’'))
        .filter_map(|(name, _)| Some((name, model.ty(*model.named.get(name)?))))
        .collect();
    if unknown.is_empty() {
        return Err(error);
    }
    let declare = |(name, ty): (&&str, &&Type)| match ty.inline && !ty.assignable {
        true => format!("typedef char {name}[{}];\n", ty.bytes),
        false => format!("typedef struct {{ char bytes[{}]; }} {name};\n", ty.bytes),
    };
    let declarations: String = unknown.iter().map(declare).collect();
    compile(&format!("{declarations}{text}"), headers, scratch, name).map(|()| program)
}

fn compile(text: &str, headers: &Path, scratch: &Path, name: &str) -> Result<(), String> {
    let source = scratch.join(format!("{name}.c"));
    std::fs::write(&source, text).expect("driver written");
    let support = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/c/include");
    let mut command = Command::new("gcc");
    command.args(["-O0", "-w", "-fno-builtin", "-o"]).arg(scratch.join(name)).arg(&source);
    command.arg("-I").arg(scratch).arg("-I").arg(headers).arg("-I").arg(support);
    command.arg("-I").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference"));
    let output = command.env("LC_ALL", "C.UTF-8").output().expect("gcc runs");
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// A case for a driver.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// The routine's number.
    pub(crate) routine: u32,
    /// The values.
    pub(crate) image: Vec<u8>,
    /// What `mach_msg` or the server's procedure answers.
    pub(crate) answer: i32,
    /// Whether what is delivered is not what the .defs say.
    pub(crate) hostile: bool,
}

/// Runs a driver on all cases; returns the blocks that it wrote for each.
pub(crate) fn run(program: &mut Command, cases: &[Run]) -> Vec<Vec<Vec<u8>>> {
    let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("driver runs");
    let mut input = child.stdin.take().expect("standard input");
    let mut output = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for case in cases {
                let head = [case.routine, case.image.len() as u32, case.answer as u32, u32::from(case.hostile)];
                let head = head.map(u32::to_le_bytes).concat();
                // A driver that ends early is noticed below.
                if input.write_all(&head).and_then(|()| input.write_all(&case.image)).is_err() {
                    return;
                }
            }
        });
        child.stdout.take().expect("standard output").read_to_end(&mut output).expect("driver's output");
    });
    let status = child.wait().expect("driver ends");
    let (mut runs, mut blocks) = (Vec::new(), Vec::new());
    let mut rest = &output[..];
    while let Some((size, after)) = rest.split_first_chunk::<4>() {
        rest = after;
        if *size == [0xff; 4] {
            runs.push(std::mem::take(&mut blocks));
            continue;
        }
        let (block, after) = after.split_at(u32::from_le_bytes(*size) as usize);
        blocks.push(block.to_vec());
        rest = after;
    }
    let last = cases.get(runs.len()).map(|case| case.routine);
    assert!(status.success() && runs.len() == cases.len(), "{program:?}: {status} in routine {last:?}");
    runs
}
