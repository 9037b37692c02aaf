#!lua name=moonweir
-- redis-cli -x FUNCTION LOAD REPLACE < moonweir-function.lua
redis.register_function("moonweir_push", function(keys, args)   -- FCALL moonweir_push 1 events acme '{"type":…}'
  return redis.call("XADD", keys[1], "*", "account", args[1], "body", args[2])
end)
