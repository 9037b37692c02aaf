return {summary='x',example='',define=function() end,run=function() return 1 end}
