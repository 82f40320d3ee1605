-- One batch of one process, all or, where an item's checks fail, without that item. Lua does not roll back: each
-- item makes all its checks before its first write.
--
-- KEYS[1]  the generation
-- ARGV     generation, prefix of keys, process, number of the batch, time to live of a session (ms), then items:
--          a kind and its fields, one after the other, as cluster/items.py lists them.
-- Returns for each item {code, …}. The last batch of a process gets the same answer again; an older one, which
-- came late over a connection that its process gave up, does nothing. One without a number is not remembered.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return redis.error_reply('UCSGEN the generation has changed')
end

local P, TTL = ARGV[2], ARGV[5]
local BATCH, SESSION, ANSWERS, CONVERSATION, EVENTS = P .. 'b:' .. ARGV[3], P .. 's:', P .. 'a:', P .. 'c:', P .. 'e:'
local OWNED, UNRESOLVED, CURSORS, CONTACT, NAMED = P .. 'o:', P .. 'u:', P .. 'r:', P .. 'k:', P .. 'x:'
local INDEX, LOG, HEAD, TOUCHED, PEOPLE = P .. 'i', P .. 'log', P .. 'head', P .. 't', P .. 'p'
local KEPT_ANSWERS = 256

local seen = redis.call('HMGET', BATCH, 'number', 'answer')
if seen[1] and seen[1] == ARGV[4] then
  return cmsgpack.unpack(seen[2])
end
if seen[1] and ARGV[4] ~= '' and tonumber(seen[1]) > tonumber(ARGV[4]) then
  return redis.error_reply('UCSOLD a later batch was done')
end

local call, format = redis.call, string.format
local position, place = 5, tonumber(call('GET', HEAD) or '0')

local function take()
  position = position + 1
  return ARGV[position]
end

local function number(value)
  return format('%.0f', value)
end

local function log(...)
  place = place + 1
  call('XADD', LOG, number(place) .. '-0', ...)
  return place
end

local function log_event(conversation, seq, contact, changes, origin, state, row)
  log('k', 'e', 'c', conversation, 'q', number(seq), 'p', contact, 's', changes, 'o', origin, 'd', state, 'r', row)
end

-- Why send `n` of a session can't be taken, or nil.
local function refusal(session, count, n)
  local known = call('HMGET', SESSION .. session, 'c', 'n')
  if not known[1] then
    return 'gone'
  end
  if known[1] ~= count then
    return 'fenced'
  end
  if tonumber(known[2]) ~= tonumber(n) - 1 then
    return 'order'
  end
  return nil
end

local function answer(session, n, row)
  local key = ANSWERS .. session
  call('HSET', SESSION .. session, 'n', n)
  call('HSET', key, n, row)
  if tonumber(n) == 1 then
    call('PEXPIRE', key, TTL)
  end
  call('HDEL', key, number(tonumber(n) - KEPT_ANSWERS))
end

local function index(conversation, contact, row)
  if row == '' then
    call('HDEL', INDEX, conversation)
    call('ZREM', UNRESOLVED .. contact, conversation)
  else
    call('HSET', INDEX, conversation, row)
    call('ZADD', UNRESOLVED .. contact, conversation, conversation)
  end
end

-- Events of one action, in one conversation.
local function append()
  local conversation, contact, expected, expect = take(), take(), take(), take()
  local session, count, n, origin = take(), take(), take(), take()
  local state, listed, events = take(), take(), tonumber(take())
  local first = position
  position = position + 3 * events

  if session ~= '' then
    local why = refusal(session, count, n)
    if why then
      return { why }
    end
  end
  local key = CONVERSATION .. conversation
  local head = call('HMGET', key, 'q', 's', 'd')
  if expected == 'new' then
    if call('EXISTS', CONTACT .. contact) == 0 then
      return { 'absent' }
    end
    if head[1] or call('ZCARD', UNRESOLVED .. contact) > 0 then
      return { 'conflict', place }
    end
  elseif not head[1] then
    return { 'absent' }
  elseif (expected == 'state' and head[2] or head[1]) ~= expect then
    return { 'conflict', place }
  end

  local seq, state_seq = tonumber(head[1] or '0'), head[2]
  if state == '' then
    state = head[3]
  end
  for event = 1, events do
    local at = first + 3 * event
    local before, after, changes = ARGV[at - 2], ARGV[at - 1], ARGV[at]
    seq = seq + 1
    if changes == '1' then
      state_seq = number(seq)
    end
    local row, from = before .. number(seq) .. after, event == events and origin or ''
    call('XADD', EVENTS .. conversation, number(seq) .. '-0', 'r', row)
    log_event(conversation, seq, contact, changes, from, state, row)
  end
  local last = number(seq)
  if expected == 'state' then
    call('HSET', key, 'q', last, 'l', number(place))
  else
    call('HSET', key, 'q', last, 'l', number(place), 's', state_seq, 'd', state, 'p', contact)
    index(conversation, contact, listed)
  end
  if expected == 'new' then
    call('ZADD', OWNED .. contact, conversation, conversation)
  end
  call('ZADD', TOUCHED, number(place), conversation)
  if session ~= '' then
    answer(session, n, conversation .. ':' .. last .. ':' .. number(place))
  end
  return { 'ok', seq, place }
end

-- The final error of a send.
local function refuse()
  local session, count, n, origin, row = take(), take(), take(), take(), take()
  local why = refusal(session, count, n)
  if why then
    return { why }
  end
  answer(session, n, row)
  return { 'ok', 0, log('k', 'f', 'o', origin, 's', session, 'n', n, 'r', row) }
end

-- A session is opened: made where `n` says with which number, and resumed otherwise.
local function open()
  local session, kind, actor, count, acked, n = take(), take(), take(), take(), tonumber(take()), take()
  local key = SESSION .. session
  local known = call('HMGET', key, 'k', 'a', 'c', 'n')
  local is_new = not known[1]
  if is_new then
    if n == '' then
      return { 'absent' }
    end
    known = { kind, actor, '0', n }
  elseif known[1] ~= kind or known[2] ~= actor then
    return { 'other' }
  end
  local highest = tonumber(known[3])
  if count == 'next' then
    highest = highest + 1
  elseif count ~= 'same' then
    if tonumber(count) <= highest then
      return { 'replaced' }
    end
    highest = tonumber(count)
  end
  local last = math.max(tonumber(known[4]), acked)
  call('HSET', key, 'k', kind, 'a', actor, 'c', number(highest), 'n', number(last))
  if is_new and last > 0 then
    -- Answers that begin above number 1 have an end, too.
    call('HSETNX', ANSWERS .. session, '0', '')
  end
  call('PEXPIRE', key, TTL)
  call('PEXPIRE', ANSWERS .. session, TTL)
  return { 'ok', highest, last }
end

-- `was` is whether it was blocked, and its identifier, or empty where that does not matter.
local function save_contact()
  local contact, name, was, origin, row = take(), take(), take(), take(), take()
  local stored = was ~= '' and call('GET', CONTACT .. contact)
  if stored then
    local known = cmsgpack.unpack(stored)
    if was ~= (known.blocked and '1' or '0') .. (known.identifier or '') then
      return { 'conflict', place }
    end
  end
  if name ~= '' then
    local known = call('GET', NAMED .. name)
    if known and known ~= contact then
      return { 'conflict', place }
    end
    call('SET', NAMED .. name, contact)
  end
  call('SET', CONTACT .. contact, row)
  log('k', 'k', 'c', contact, 'o', origin, 'r', row)
  call('ZADD', PEOPLE, number(place), contact)
  return { 'ok', 0, place }
end

local function advance()
  local conversation, who, read, delivered = take(), take(), tonumber(take()), tonumber(take())
  local head = tonumber(call('HGET', CONVERSATION .. conversation, 'q'))
  if not head then
    return { 'absent' }
  end
  local known = call('HGET', CURSORS .. conversation, who)
  local old_read, old_delivered = 0, 0
  if known then
    local colon = string.find(known, ':', 1, true)
    old_read, old_delivered = tonumber(string.sub(known, 1, colon - 1)), tonumber(string.sub(known, colon + 1))
  end
  local new_read = math.max(old_read, math.min(read, head))
  local new_delivered = math.max(old_delivered, new_read, math.min(delivered, head))
  if new_read == old_read and new_delivered == old_delivered then
    return { 'ok', 0, 0 }
  end
  local row = number(new_read) .. ':' .. number(new_delivered)
  call('HSET', CURSORS .. conversation, who, row)
  log('k', 'r', 'c', conversation, 's', who, 'r', row)
  call('HSET', CONVERSATION .. conversation, 'l', number(place))
  call('ZADD', TOUCHED, number(place), conversation)
  return { 'ok', 0, place }
end

-- What the cold tier knows comes back; what is here already is newer.
local function restore_conversation()
  local conversation, contact, seq, state_seq, state, listed = take(), take(), take(), take(), take(), take()
  local cursors = tonumber(take())
  local first = position
  position = position + 2 * cursors
  if call('EXISTS', CONVERSATION .. conversation) == 1 then
    return { 'ok' }
  end
  call('HSET', CONVERSATION .. conversation, 'q', seq, 's', state_seq, 'd', state, 'p', contact, 'l', '0')
  call('ZADD', TOUCHED, number(place), conversation)
  if listed ~= '' then
    call('HSET', INDEX, conversation, listed)
  end
  for cursor = 0, cursors - 1 do
    call('HSETNX', CURSORS .. conversation, ARGV[first + 2 * cursor + 1], ARGV[first + 2 * cursor + 2])
  end
  return { 'ok' }
end

local function restore_contact()
  local contact, name, row, conversations = take(), take(), take(), tonumber(take())
  local first = position
  position = position + 2 * conversations
  if call('EXISTS', CONTACT .. contact) == 1 then
    return { 'ok' }
  end
  call('SET', CONTACT .. contact, row)
  call('ZADD', PEOPLE, number(place), contact)
  if name ~= '' then
    call('SETNX', NAMED .. name, contact)
  end
  for each = 0, conversations - 1 do
    local conversation = ARGV[first + 2 * each + 1]
    call('ZADD', OWNED .. contact, conversation, conversation)
    if ARGV[first + 2 * each + 2] == '1' then
      call('ZADD', UNRESOLVED .. contact, conversation, conversation)
    end
  end
  return { 'ok' }
end

-- An event that was acknowledged in an earlier generation gets the next place, unless its send was repeated.
local function import()
  local conversation, contact, seq, changes, state, listed = take(), take(), take(), take(), take(), take()
  local session, kind, actor, n, row = take(), take(), take(), take(), take()
  local key = CONVERSATION .. conversation
  local head = tonumber(call('HGET', key, 'q') or '0')
  if tonumber(seq) ~= head + 1 then
    return { 'conflict', place }
  end
  if session ~= '' and call('HEXISTS', ANSWERS .. session, n) == 1 then
    return { 'known' }
  end
  call('XADD', EVENTS .. conversation, seq .. '-0', 'r', row)
  log_event(conversation, tonumber(seq), contact, changes, '', state, row)
  call('HSET', key, 'q', seq, 'l', number(place), 'd', state, 'p', contact)
  if changes == '1' then
    call('HSET', key, 's', seq)
    index(conversation, contact, listed)
    call('ZADD', OWNED .. contact, conversation, conversation)
  end
  call('ZADD', TOUCHED, number(place), conversation)
  if session ~= '' then
    local known = call('HMGET', SESSION .. session, 'c', 'n')
    local last = math.max(tonumber(known[2] or '0'), tonumber(n))
    call('HSET', SESSION .. session, 'k', kind, 'a', actor, 'c', known[1] or '0', 'n', number(last))
    call('PEXPIRE', SESSION .. session, TTL)
    call('HSET', ANSWERS .. session, n, conversation .. ':' .. seq .. ':' .. number(place))
    call('PEXPIRE', ANSWERS .. session, TTL)
  end
  return { 'ok', tonumber(seq), place }
end

local function skip()
  return { 'ok' }
end

local kinds = {
  skip = skip,
  append = append,
  refuse = refuse,
  open = open,
  contact = save_contact,
  cursor = advance,
  restore = restore_conversation,
  person = restore_contact,
  import = import,
}
local answers, before = {}, place
while position < #ARGV do
  answers[#answers + 1] = kinds[take()]()
end
if place ~= before then
  call('SET', HEAD, number(place))
end
if ARGV[4] ~= '' then
  call('HSET', BATCH, 'number', ARGV[4], 'answer', cmsgpack.pack(answers))
  call('PEXPIRE', BATCH, 3600000)
end
return answers
