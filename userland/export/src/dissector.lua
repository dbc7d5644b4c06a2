-- What is above is what the decode tables of the capture say; what follows is the same for all.
--
-- T: types {kind, name, bytes, ...}: u unsigned, s signed, b boolean, c character, y byte, n name of a port, p port right, r return code,
--    a array {element, count}, t struct {{name, type, offset, flags}...}, z C string, o anything else
-- R: routines by the id of the request {name, subsystem, only the name is known, request items, reply items, reply id}
-- items: {name, type, role, set}: p the port in the header, r the return code, a and c arguments
-- S: sets {are flags, {number, name}...}; E: names of return codes

local mach = Proto("mach", "Mach message")
local F, fields = {}, {}

local function plain(key, make, ...)
  F[key] = make("mach." .. key, ...)
  fields[#fields + 1] = F[key]
end

local KINDS = {[0] = "normal", "task", "thread", "task exception", "thread exception", "trap", "lost", "task birth", "thread birth",
  "thread death", "task death", "engine end", "stopped", [255] = "remark"}
local ROLES = {[0] = "none", "client", "server", "control", "exception", "failed"}
local PORTS = {[0] = "port", "thread", "task", "host", "host-priv", "processor", "processor set", "processor set", "memory object",
  "memory control", "device", [16] = "memory name", [19] = "device-master", [254] = "nothing", [255] = "port set"}

plain("label", ProtoField.string, "Task")
plain("direction", ProtoField.uint8, "Direction", base.DEC, {[0] = "sent", "received"})
plain("kind", ProtoField.uint8, "Kind of record", base.DEC, KINDS)
plain("role", ProtoField.uint8, "Role", base.DEC, ROLES)
plain("options", ProtoField.uint32, "Options", base.HEX)
plain("retval", ProtoField.uint32, "mach_msg returned", base.HEX)
plain("task", ProtoField.uint32, "Task number")
plain("thread", ProtoField.uint32, "Thread number")
plain("sequence", ProtoField.uint64, "Sequence")
plain("correlation", ProtoField.uint64, "Correlation")
plain("exchange", ProtoField.uint64, "Exchange")
plain("lost", ProtoField.uint32, "Records lost before")
plain("not_captured", ProtoField.uint32, "Bytes not captured")
plain("received_from", ProtoField.uint32, "Received from")
plain("time_out", ProtoField.uint32, "Time-out (ms)")
plain("notify", ProtoField.uint32, "Notify port")
plain("sender", ProtoField.uint32, "Sender's task number")
plain("remark", ProtoField.string, "Remark")
plain("routine", ProtoField.string, "Routine")
plain("subsystem", ProtoField.string, "Subsystem")
plain("is_reply", ProtoField.bool, "Reply")
plain("bits", ProtoField.uint32, "msgh_bits", base.HEX)
plain("size", ProtoField.uint32, "msgh_size")
plain("remote_port", ProtoField.uint32, "msgh_remote_port")
plain("local_port", ProtoField.uint32, "msgh_local_port")
plain("seqno", ProtoField.uint32, "msgh_seqno")
plain("id", ProtoField.int32, "msgh_id")
plain("reply_in", ProtoField.framenum, "Reply in", base.NONE, frametype and frametype.RESPONSE or nil)
plain("request_in", ProtoField.framenum, "Request in", base.NONE, frametype and frametype.REQUEST or nil)
plain("copy_in", ProtoField.framenum, "The same message in", base.NONE)
plain("time", ProtoField.relative_time, "Time since request")
plain("data", ProtoField.bytes, "Data")
plain("item", ProtoField.bytes, "Item")
plain("names.name", ProtoField.uint32, "Name")
plain("names.number", ProtoField.uint32, "Port number")
plain("names.kind", ProtoField.uint8, "Kind of port", base.DEC, PORTS)
plain("names.object", ProtoField.uint32, "Task or thread number")

local malformed = ProtoExpert.new("mach.malformed.expert", "The message ends before the item does", expert.group.MALFORMED,
  expert.severity.ERROR)
local failed = ProtoExpert.new("mach.failed.expert", "An error", expert.group.RESPONSE_CODE, expert.severity.NOTE)
local loss = ProtoExpert.new("mach.lost.expert", "Records were lost", expert.group.SEQUENCE, expert.severity.WARN)
mach.experts = {malformed, failed, loss}

local function bits(number, from, count) return math.floor(number / 2 ^ from) % 2 ^ count end
local function align(number, word) return math.ceil(number / word) * word end

local VALUES = {}
for index, set in ipairs(S) do
  local values = {}
  for place = 2, #set do
    if values[set[place][1]] == nil then values[set[place][1]] = set[place][2] end
  end
  VALUES[index] = values
end

local UNSIGNED = {[1] = ProtoField.uint8, [2] = ProtoField.uint16, [4] = ProtoField.uint32, [8] = ProtoField.uint64}
local SIGNED = {[1] = ProtoField.int8, [2] = ProtoField.int16, [4] = ProtoField.int32, [8] = ProtoField.int64}

-- How a type is shown: what makes its field, a word for its sort, and whether it is a number.
local function sort_of(ty)
  local kind, size = ty[1], ty[3]
  if (kind == "u" or kind == "y") and UNSIGNED[size] then return UNSIGNED[size], "u" .. size, true end
  if kind == "s" and SIGNED[size] then return SIGNED[size], "s" .. size, true end
  if kind == "r" then return ProtoField.int32, "r", true end
  if kind == "n" or kind == "p" then return ProtoField.uint32, "p", false end
  if kind == "b" then return ProtoField.bool, "b", false end
  if kind == "z" or kind == "c" or kind == "a" and T[ty[4]][1] == "c" then return ProtoField.string, "z", false end
  return ProtoField.bytes, "o", false
end

local made = {}

-- The field of an argument: of one name and sort there is one.
local function field(abbreviation, name, ty, set)
  local make, sort, is_number = sort_of(ty)
  local key = "mach." .. abbreviation:gsub("[^%w_.-]", "_")
  local before = made[key]
  if before and before[2] ~= sort then
    key = key .. "." .. sort
    before = made[key]
  end
  if before then return before[1] end
  local one
  if is_number then
    local values = ty[1] == "r" and E or set and set > 0 and not S[set][1] and ty[3] < 8 and VALUES[set] or nil
    one = make(key, name, base.DEC, values)
  else
    one = make(key, name)
  end
  made[key] = {one, sort}
  fields[#fields + 1] = one
  return one
end

-- The members of structs and elements of arrays have fields of their own.
local function prepare(abbreviation, name, index, set, depth)
  local ty = T[index]
  local one = {field = field(abbreviation, name, ty, set), ty = ty, set = set, parts = {}}
  if ty[1] == "t" and depth < 4 then
    for place = 4, #ty do
      local member = ty[place]
      one.parts[#one.parts + 1] = prepare(abbreviation .. "." .. member[1], member[1], member[2], member[5], depth + 1)
      one.parts[#one.parts].offset = member[3]
      one.parts[#one.parts].flags = member[4]
    end
  elseif ty[1] == "a" and T[ty[4]][1] ~= "c" and T[ty[4]][1] ~= "y" and depth < 4 then
    one.element = prepare(abbreviation .. ".item", name .. " element", ty[4], set, depth + 1)
  end
  return one
end

local ANSWERS = {}
for _, routine in pairs(R) do
  if routine[6] ~= 0 then ANSWERS[routine[6]] = routine end
  for part = 4, 5 do
    for _, item in ipairs(routine[part]) do
      item.shown = prepare(routine[1] .. "." .. item[1], item[1], item[2], item[4], 0)
    end
  end
end
mach.fields = fields

local requests, replies, copies = {}, {}, {}
function mach.init() requests, replies, copies = {}, {}, {} end

-- What a number of a set of flags means.
local function flags(set, number)
  local words, rest = {}, number
  for place = 2, #set do
    local value, name = set[place][1], set[place][2]
    if value ~= 0 and bit.band(rest, value) == bit.tobit(value) then
      words[#words + 1] = name
      rest = bit.band(rest, bit.bnot(value))
    elseif value == 0 and number == 0 then
      words[#words + 1] = name
    end
  end
  if rest ~= 0 then words[#words + 1] = "0x" .. bit.tohex(rest) end
  return #words > 0 and table.concat(words, "|") or "0"
end

local MOST = 256
local show

local function port_text(names, name)
  local port = names[name]
  if name == 0 then return " (MACH_PORT_NULL)" end
  if name == 0xffffffff then return " (MACH_PORT_DEAD)" end
  if not port then return "" end
  return " (" .. (PORTS[port.kind] or "kernel") .. " " .. port.number .. ")"
end

-- Adds a value.
show = function(tree, one, range, names)
  local ty, size = one.ty, range:len()
  local _, sort, is_number = sort_of(ty)
  if size == 0 then
    if sort == "z" then tree:add(one.field, range, "") else tree:add(F.item, range) end
  elseif is_number and size == ty[3] then
    local item = tree:add_le(one.field, range)
    if one.set > 0 and S[one.set][1] and size <= 4 then item:append_text(" (" .. flags(S[one.set], range:le_uint()) .. ")") end
  elseif sort == "p" and size >= 4 then
    local name = range(0, 4):le_uint()
    tree:add(one.field, range, name):append_text(port_text(names, name))
  elseif sort == "b" and size <= 4 then
    tree:add(one.field, range, range:le_uint() ~= 0)
  elseif sort == "z" then
    tree:add(one.field, range, ty[1] == "z" and range:stringz() or range:string())
  else
    local item = tree:add(is_number and F.item or sort == "o" and one.field or F.item, range)
    for _, member in ipairs(one.parts) do
      local bytes = member.ty[3]
      if bytes > 0 and member.offset + bytes <= size and member.flags == 0 then show(item, member, range(member.offset, bytes), names) end
    end
    local element = one.element
    if element and element.ty[3] > 0 then
      local stride = element.ty[3]
      for place = 0, math.min(math.floor(size / stride), MOST) - 1 do show(item, element, range(place * stride, stride), names) end
    end
  end
end

-- The descriptor at a place, or nothing.
local function descriptor(message, at, word)
  local left = message:len() - at
  if left < (word == 8 and 8 or 4) then return nil end
  local first = message(at, 4):le_uint()
  if word == 8 then
    return {name = bits(first, 0, 8), size = bits(first, 8, 16), inline = bits(first, 29, 1) == 1, number = message(at + 4, 4):le_uint(), bytes = 8}
  end
  if bits(first, 29, 1) == 0 then
    return {name = bits(first, 0, 8), size = bits(first, 8, 8), number = bits(first, 16, 12), inline = bits(first, 28, 1) == 1, bytes = 4}
  end
  if left < 12 then return nil end
  local second = message(at + 4, 4):le_uint()
  return {name = bits(second, 0, 16), size = bits(second, 16, 16), number = message(at + 8, 4):le_uint(), inline = bits(first, 28, 1) == 1, bytes = 12}
end

-- Adds the items of a message; answers the return code, if it begins with one.
local function body(tree, message, at, word, items, names)
  local code, place = nil, 1
  while items and items[place] and items[place][3] == "p" do place = place + 1 end
  while at < message:len() do
    local found = descriptor(message, at, word)
    if not found then
      tree:add_proto_expert_info(malformed)
      return code
    end
    local size = found.inline and math.ceil(found.size * found.number / 8) or word
    local start = at + found.bytes
    if start + size > message:len() then
      tree:add_proto_expert_info(malformed)
      return code
    end
    local item = items and items[place]
    local range = message(start, size)
    if not found.inline then
      local text = (item and item[1] or "item") .. ": out of line, " .. math.ceil(found.size * found.number / 8) .. " bytes"
      tree:add(F.item, range):set_text(text)
    elseif item then
      local one = item.shown
      -- A right is as wide as a pointer in a message, its name is not.
      local is_one = one.ty[1] == "p" and found.number ~= 1
      if is_one then tree:add(F.item, range):set_text(item[1] .. ": " .. found.number .. " rights") else show(tree, one, range, names) end
    elseif size > 0 then
      tree:add(F.item, range)
    end
    if place == 1 and item and item[3] == "r" and size == 4 then code = range:le_int() end
    if code == nil and not items and place == 1 and found.name == 2 and size == 4 then code = range:le_int() end
    at = align(start + size, word)
    place = place + 1
  end
  return code
end

local function link(tree, key, frame)
  if frame then tree:add(F[key], frame):set_generated() end
end

function mach.dissector(buffer, pinfo, root)
  if buffer:len() < 88 or buffer(0, 2):le_uint() ~= 1 then return 0 end
  local header, kind, word = buffer(2, 2):le_uint(), buffer(5, 1):uint(), buffer(6, 1):uint()
  local label = buffer(88, buffer(50, 2):le_uint()):string()
  pinfo.cols.protocol = "Mach"
  local tree = root:add(mach, buffer())
  if kind == 255 then
    tree:add(F.kind, buffer(5, 1))
    tree:add(F.remark, buffer(88, #label), label)
    pinfo.cols.info = label
    return buffer:len()
  end
  local is_received, role = buffer(4, 1):uint() == 1, buffer(7, 1):uint()
  local sequence, exchange, part = buffer(24, 8):le_uint64(), tostring(buffer(40, 8):le_uint64()), buffer(48, 2):le_uint()
  local correlation, captured = tostring(buffer(32, 8):le_uint64()), buffer(56, 4):le_uint()
  local record = tree:add(mach, buffer(0, header), "Record " .. tostring(sequence) .. (label ~= "" and ", " .. label or ""))
  if label ~= "" then record:add(F.label, buffer(88, #label), label) end
  for _, one in ipairs({{"direction", 4, 1}, {"kind", 5, 1}, {"role", 7, 1}, {"options", 8, 4}, {"retval", 12, 4}, {"task", 16, 4},
    {"thread", 20, 4}, {"sequence", 24, 8}, {"correlation", 32, 8}, {"exchange", 40, 8}, {"lost", 60, 4}, {"received_from", 64, 4},
    {"time_out", 68, 4}, {"notify", 72, 4}, {"sender", 76, 4}}) do
    record:add_le(F[one[1]], buffer(one[2], one[3]))
  end
  if buffer(60, 4):le_uint() > 0 then record:add_proto_expert_info(loss) end
  local missing = buffer(52, 4):le_uint() - captured
  if missing > 0 then record:add(F.not_captured, buffer(52, 8), missing) end
  pinfo.cols.src = label ~= "" and label or "task " .. buffer(16, 4):le_uint()

  local names, at = {}, header + align(captured, 8)
  local count = buffer(84, 4):le_uint()
  if count > 0 then
    local list = tree:add(mach, buffer(at, count * 16), "Ports: " .. count)
    for place = 0, count - 1 do
      local port = buffer(at + place * 16, 16)
      local name, number, what = port(0, 4):le_uint(), port(4, 4):le_uint(), port(8, 1):uint()
      if not names[name] then names[name] = {number = number, kind = what} end
      local item = list:add(mach, port, "name " .. name .. ": " .. (PORTS[what] or "kernel") .. " " .. number)
      item:add_le(F["names.name"], port(0, 4))
      item:add_le(F["names.number"], port(4, 4))
      item:add_le(F["names.kind"], port(8, 1))
      if port(12, 4):le_uint() ~= 0 then item:add_le(F["names.object"], port(12, 4)) end
    end
  end

  local arrow = is_received and "<- " or "-> "
  local shortest = word == 8 and 32 or 24
  local what = E[buffer(12, 4):le_int()] or string.format("0x%x", buffer(12, 4):le_uint())
  if captured < shortest then
    pinfo.cols.info = arrow .. (role == 5 and "mach_msg failed: " .. what or KINDS[kind] or "record")
    if role == 5 then record:add_proto_expert_info(failed) end
    return buffer:len()
  end
  local message = buffer(header, captured):tvb()
  local wide = word == 8 and 8 or 4
  local id = message(word == 8 and 28 or 20, 4):le_int()
  local subject = buffer(80, 4):le_uint()
  local routine = R[subject] or R[id] or ANSWERS[id]
  local is_reply = part == 2 or not R[subject] and not R[id] and routine ~= nil
  -- An answer with another id than its routine's is none that the routine describes.
  local items = routine and not routine[3] and (is_reply and routine[6] == id and routine[5] or not is_reply and routine[4]) or nil
  local name = routine and routine[1] or "msgh_id " .. id
  local shown = tree:add(mach, message(), name .. (is_reply and " reply" or ""))
  if routine then
    shown:add(F.routine, message(), routine[1]):set_generated()
    shown:add(F.subsystem, message(), routine[2]):set_generated()
  end
  shown:add(F.is_reply, message(), is_reply):set_generated()
  shown:add_le(F.bits, message(0, 4))
  shown:add_le(F.size, message(4, 4))
  for _, side in ipairs({{"remote_port", 8}, {"local_port", 8 + wide}}) do
    local port = message(side[2], 4):le_uint()
    shown:add(F[side[1]], message(side[2], wide), port):append_text(port_text(names, port))
  end
  shown:add_le(F.seqno, message(8 + 2 * wide, 4))
  shown:add_le(F.id, message(12 + 2 * wide, 4))
  local code = body(shown, message, shortest, word, items, names)

  -- An answer may have the number of its request, and even its id.
  local key = correlation .. ":" .. id .. (is_reply and ":reply" or "")
  if not pinfo.visited then
    if exchange ~= "0" and part == 1 then requests[exchange] = {pinfo.number, pinfo.rel_ts} end
    if exchange ~= "0" and part == 2 then replies[exchange] = pinfo.number end
    if correlation ~= "0" then
      copies[key] = copies[key] or {}
      copies[key][#copies[key] + 1] = pinfo.number
    end
  end
  if part == 1 then link(tree, "reply_in", replies[exchange]) end
  if part == 2 and requests[exchange] then
    link(tree, "request_in", requests[exchange][1])
    -- Since the first packet: of the time of the day a number of Lua's has not all digits.
    local nanoseconds = math.max(0, math.floor((pinfo.rel_ts - requests[exchange][2]) * 1e9 + 0.5))
    tree:add(F.time, NSTime(math.floor(nanoseconds / 1e9), nanoseconds % 1e9)):set_generated()
  end
  for _, frame in ipairs(correlation ~= "0" and copies[key] or {}) do
    if frame ~= pinfo.number then link(tree, "copy_in", frame) end
  end

  local ending = ""
  if role == 5 then
    ending = " failed: " .. what
  elseif is_reply and code then
    ending = " = " .. (E[code] or tostring(code))
  end
  if role == 5 or code and code ~= 0 and is_reply then shown:add_proto_expert_info(failed) end
  pinfo.cols.info = arrow .. name .. (is_reply and " reply" or "") .. ending
  return buffer:len()
end

DissectorTable.get("wtap_encap"):add(wtap.USER0, mach)
