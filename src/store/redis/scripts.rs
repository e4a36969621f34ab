//! What happens in Redis as a whole or not at all. Each script names one key and no other, so that it
//! runs in a cluster as it does on one server. None leaves a key without an end.
//!
//! They are sent as they are: a script that a server is to remember is forgotten by the next one.

/// Puts a member into a sorted set that ends with its last member.
/// Key: the set. Arguments: member, its end, now, the span until its end in ms, most members.
pub(super) const JOIN_GROUP: &str = "
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[5])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return 1";

/// Puts words where they are for all, unless there are too many, and tells.
/// Key: the set. Arguments: words, their end, now, the span until their end in ms, most words,
/// channel, message. Returns 0 where there are too many.
pub(super) const ANNOUNCE: &str = "
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[5])
    and not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  return 0
end
redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
redis.call('PUBLISH', ARGV[6], ARGV[7])
return 1";

/// Puts a record where there is one of the same or an earlier turn, and tells of a later one.
/// Key: the record. Arguments: record, the span until its end in ms, its turn, now, channel, message.
/// Returns 1 when done, 0 where there is none, 2 where there is a later one, 3 where there is
/// something else. Of a record, it reads what it begins with: format, a flag, turn, end.
pub(super) const REPLACE: &str = "
local old = redis.call('GETRANGE', KEYS[1], 0, 13)
if old == '' then return 0 end
if #old < 14 or string.byte(old, 1) ~= 1 then return 3 end
local turn, high, low = struct.unpack('>I4I4I4', string.sub(old, 3))
if high >= 2147483648 or high * 4294967296 + low <= tonumber(ARGV[4]) then return 0 end
if turn > tonumber(ARGV[3]) then return 2 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if turn < tonumber(ARGV[3]) then redis.call('PUBLISH', ARGV[5], ARGV[6]) end
return 1";

/// Removes a record, whatever stands there, and tells.
/// Key: the record. Arguments: most bytes, channel, message. Returns whether there was something, and
/// what it was, where it was a text.
pub(super) const REMOVE: &str = "
local old = redis.pcall('GETRANGE', KEYS[1], 0, ARGV[1])
if type(old) ~= 'string' then old = '' end
local had = redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return {had, old}";

/// Takes a lock that is free or the owner's.
/// Key: the lock. Arguments: owner, span in ms. Returns whether it is the owner's now.
pub(super) const LOCK: &str = "
local has = redis.call('GET', KEYS[1])
if has and has ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1";

/// Frees a lock that is the owner's.
/// Key: the lock. Argument: owner.
pub(super) const UNLOCK: &str = "
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0";
