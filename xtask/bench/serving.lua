-- One body, posted again and again. BENCH_BODY names its file; BENCH_HEADERS has `Name: value` by
-- line; with BENCH_PATHS the `%d` of the path counts from 0 to one less.
local file = io.open(os.getenv("BENCH_BODY"), "rb")
wrk.method = "POST"
wrk.body = file:read("*all")
file:close()
for name, value in string.gmatch(os.getenv("BENCH_HEADERS") or "", "([^:\n]+): ([^\n]+)") do
  wrk.headers[name] = value
end
local paths = tonumber(os.getenv("BENCH_PATHS") or "0")
if paths > 0 then
  local asked, at = {}, 0
  function init()
    for number = 0, paths - 1 do
      asked[number] = wrk.format(nil, string.format(os.getenv("BENCH_PATH"), number))
    end
  end
  function request()
    at = (at + 1) % paths
    return asked[at]
  end
end
