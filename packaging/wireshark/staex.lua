-- SPDX-License-Identifier: Apache-2.0
--
-- Names the datagrams of a Staex network in tshark and Wireshark: types, sizes, labels, and what
-- else is in clear. What is sealed stays sealed, no keys are asked for. docs/wire has the pictures.
--
--   tshark -X lua_script:staex.lua -i eth0 -f 'udp port 9376' -O staex
--
-- It works without that option from a folder of plugins (tshark -G folders). For another port than
-- 9376: Preferences, Protocols, STAEX, or -o staex.port:9377.

local staex = Proto("staex", "Staex network")

staex.prefs.port = Pref.uint("UDP port", 9376, "listen-addr of the nodes")

local TAG = 16 -- bytes behind what is sealed

local f = {
  type = ProtoField.uint8("staex.type", "Type", base.DEC, nil, 0xf0),
  epoch = ProtoField.uint8("staex.epoch", "Epoch, low bits", base.DEC, nil, 0x0c),
  long = ProtoField.bool("staex.long", "Long counter", 8, nil, 0x02),
  flag = ProtoField.bool("staex.flag", "Flag", 8, nil, 0x01),
  frame = ProtoField.string("staex.frame", "Frame"),
  label = ProtoField.uint24("staex.label", "Label", base.HEX),
  own = ProtoField.uint24("staex.label.own", "Label of the sender", base.HEX),
  counter = ProtoField.uint32("staex.counter", "Counter, low bits", base.DEC),
  sealed = ProtoField.bytes("staex.sealed", "Sealed"),
  inside = ProtoField.uint16("staex.sealed.size", "Size of the plaintext", base.DEC),
  tag = ProtoField.bytes("staex.tag", "Tag"),
  hopmac = ProtoField.bytes("staex.hop_mac", "Hop MAC"),
  version = ProtoField.uint8("staex.version", "Version", base.DEC),
  noise = ProtoField.bytes("staex.noise", "Noise"),
  noisesize = ProtoField.uint16("staex.noise.size", "Size of Noise", base.DEC),
  padding = ProtoField.bytes("staex.padding", "Padding"),
  mac1 = ProtoField.bytes("staex.mac1", "mac1"),
  mac2 = ProtoField.bytes("staex.mac2", "mac2"),
  mac = ProtoField.bytes("staex.mac", "MAC"),
  nonce = ProtoField.bytes("staex.nonce", "Nonce"),
  cookie = ProtoField.bytes("staex.cookie", "Sealed cookie"),
  stage = ProtoField.uint8("staex.stage", "Stage", base.DEC, { [3] = "Noise", [4] = "confirm" }),
  body = ProtoField.bytes("staex.body", "Body"),
  number = ProtoField.bytes("staex.number", "Number"),
  question = ProtoField.uint32("staex.question", "Number of the question", base.DEC),
  delay = ProtoField.uint16("staex.delay", "Delay in seconds", base.DEC),
  answer = ProtoField.uint8("staex.answer", "Answer", base.DEC),
  probed = ProtoField.uint16("staex.probed", "Size in question", base.DEC),
  place = ProtoField.bytes("staex.place", "Place"),
  token = ProtoField.bytes("staex.token", "Token"),
  ticketsize = ProtoField.uint16("staex.ticket.size", "Size of the ticket", base.DEC),
  ticket = ProtoField.bytes("staex.ticket", "Ticket"),
  size = ProtoField.uint16("staex.size", "Largest datagram of the link", base.DEC),
  udp = ProtoField.uint16("staex.udp_size", "Bytes over UDP", base.DEC),
  ip = ProtoField.uint16("staex.ip_size", "Bytes over IP", base.DEC),
}
local list = {}
for _, field in pairs(f) do
  list[#list + 1] = field
end
staex.fields = list

local short = ProtoExpert.new("staex.short", "Shorter than such a frame can be",
  expert.group.MALFORMED, expert.severity.ERROR)
local strange = ProtoExpert.new("staex.strange", "No frame of this network",
  expert.group.PROTOCOL, expert.severity.WARN)
staex.experts = { short, strange }

-- A cursor walks through the bytes behind the label and never leaves the datagram.
local function cursor(tvb, tree)
  local at, c = 4, {}
  function c.left() return tvb:len() - at end
  -- take shows the next n bytes as a field, or what is left of them, and returns them.
  function c.take(field, n)
    local have = math.min(n, c.left())
    if have < n then
      c.cut = true
    end
    if have <= 0 then
      return nil
    end
    local range = tvb(at, have)
    at = at + have
    if have == n then
      tree:add(field, range)
      return range
    end
    return nil
  end
  function c.skip(n) at = math.min(at + n, tvb:len()) end
  function c.uint(field, n)
    local range = c.take(field, n)
    return range and range:uint() or 0
  end
  return c
end

-- sealed shows the rest of a data or link frame; behind the tag may stand a hop MAC.
local function sealed(tvb, tree, c, mac)
  local head = tvb(0, 1):uint()
  local counter = c.uint(f.counter, math.floor(head / 2) % 2 == 1 and 4 or 2)
  local n = c.left() - TAG - mac
  if n > 0 then
    c.take(f.sealed, n)
  end
  tree:add(f.inside, math.max(n, 0)):set_generated()
  c.take(f.tag, TAG)
  if mac > 0 then
    c.take(f.hopmac, mac)
  end
  return string.format("epoch %d, counter %d, %d bytes sealed", math.floor(head / 4) % 4,
    counter, math.max(n, 0)), n
end

-- frames are the types of datagrams. show adds the fields behind the label and says more about
-- the frame in a few words.
local frames = {
  [1] = { name = "Data frame", flags = "with a hop MAC", show = function(tvb, tree, c)
    local text = sealed(tvb, tree, c, tvb(0, 1):uint() % 2 * 4)
    return text
  end },
  [2] = { name = "Link frame", flags = "asks for an answer", show = function(tvb, tree, c)
    local text, n = sealed(tvb, tree, c, 0)
    local what = "no frame"
    if n == 0 or n == 4 or n == 6 then
      what = "keep-alive"
    elseif n >= 8 then
      what = "control packet"
    end
    return text .. ", " .. what
  end },
  [3] = { name = "Hello1", show = function(_, _, c)
    c.take(f.version, 1)
    c.skip(3)
    c.take(f.noise, 32)
    c.take(f.padding, math.max(c.left() - 32, 0))
    c.take(f.mac1, 16)
    c.take(f.mac2, 16)
  end },
  [4] = { name = "Hello2", show = function(_, _, c)
    c.skip(1)
    c.take(f.own, 3)
    c.take(f.noise, c.uint(f.noisesize, 2))
    c.take(f.padding, c.left())
  end },
  [5] = { name = "Hello3", show = function(_, _, c)
    c.take(f.noise, c.left())
  end },
  [6] = { name = "Cookie", show = function(_, _, c)
    c.take(f.nonce, 24)
    c.take(f.cookie, 32)
  end },
  [7] = { name = "PathHandshake", show = function(_, _, c)
    local stage = c.uint(f.stage, 1)
    c.take(f.body, c.left())
    return "stage " .. stage
  end },
  [8] = { name = "Nudge", show = function(_, _, c)
    c.take(f.number, 6)
    c.take(f.mac, 8)
  end },
  [9] = { name = "Reset", show = function(_, _, c)
    c.take(f.token, 16)
  end },
  [10] = { name = "Ticket", show = function(_, _, c)
    c.take(f.version, 1)
    c.skip(1)
    local n = c.uint(f.ticketsize, 2)
    c.take(f.nonce, 32)
    c.take(f.ticket, n)
    c.take(f.mac, 16)
  end },
  [11] = { name = "TicketAnswer", show = function(_, _, c)
    c.skip(1)
    c.take(f.own, 3)
    c.take(f.nonce, 32)
    c.take(f.size, 2)
    c.take(f.mac, 16)
  end },
  [12] = { name = "NATProbe", show = function(_, _, c)
    c.take(f.question, 4)
    local delay = c.uint(f.delay, 2)
    c.take(f.place, 8)
    c.take(f.mac, 16)
    return "delay " .. delay .. " s"
  end },
  [13] = { name = "SizeProbe", show = function(_, _, c)
    local answer = c.uint(f.answer, 1)
    local size = c.uint(f.probed, 2)
    c.take(f.question, 4)
    c.take(f.mac, 8)
    if answer == 0 then
      c.take(f.padding, math.max(size - 19, 0))
    end
    return size .. " bytes" .. (answer == 1 and " have come" or "?")
  end },
}

-- sizes shows what the datagram costs: 8 bytes of UDP and 20 or 40 of IP around the payload.
local function sizes(tree, tvb, pinfo)
  local ip = tostring(pinfo.net_src):find(":", 1, true) and 40 or 20
  tree:add(f.udp, tvb:reported_len()):set_generated()
  tree:add(f.ip, tvb:reported_len() + 8 + ip):set_generated()
end

function staex.dissector(tvb, pinfo, tree)
  if tvb:len() == 0 then
    return 0
  end
  pinfo.cols.protocol = "STAEX"
  local root = tree:add(staex, tvb())
  local frame = frames[tvb(0, 1):bitfield(0, 4)]
  root:add(f.type, tvb(0, 1))
  if not frame then
    root:add_proto_expert_info(strange)
    pinfo.cols.info = "No frame of this network"
    sizes(root, tvb, pinfo)
    return tvb:len()
  end
  root:append_text(", " .. frame.name)
  root:add(f.frame, frame.name):set_generated()
  if frame.flags then
    root:add(f.epoch, tvb(0, 1))
    root:add(f.long, tvb(0, 1))
    local flag = root:add(f.flag, tvb(0, 1))
    if tvb(0, 1):bitfield(7, 1) == 1 then
      flag:append_text(", " .. frame.flags)
    end
  end
  local info = frame.name
  if tvb:len() >= 4 then
    root:add(f.label, tvb(1, 3))
    info = string.format("%s, label 0x%06x", info, tvb(1, 3):uint())
  end
  local c = cursor(tvb, root)
  local more = tvb:len() >= 4 and frame.show(tvb, root, c)
  if tvb:len() < 4 or c.cut then
    root:add_proto_expert_info(short)
    more = "cut off"
  end
  sizes(root, tvb, pinfo)
  pinfo.cols.info = info .. (more and ", " .. more or "")
  return tvb:len()
end

local ports, port = DissectorTable.get("udp.port"), staex.prefs.port
ports:add(port, staex)

function staex.prefs_changed()
  if port ~= staex.prefs.port then
    ports:remove(port, staex)
    port = staex.prefs.port
    ports:add(port, staex)
  end
end
