# Moonweir. `make help` lists what can be made.
#
# Objects of csrc/core and csrc/io know nothing of Lua and are built once; csrc/lua is built for each Lua.
# V=1 shows the commands. SANITIZE=address,undefined (or thread) builds everything with sanitizers, into a folder of its own.

MAKEFLAGS += --no-print-directory
V        ?=
Q        := $(if $(V),,@)
PREFIX   ?= /usr/local
SANITIZE ?=
BUILD    ?= build$(if $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))
comma    := ,
CC       ?= cc
PKG      ?= pkg-config
SHARED   ?= ../shared

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wmissing-prototypes \
        -Wstrict-prototypes -Wpointer-arith -Wcast-qual -Wformat=2 -Wundef -Wvla $(if $(WERROR),-Werror)
OPT  ?= $(if $(SANITIZE),-O1,-O3)
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE $(OPT) -g $(WARN) -fPIC -fvisibility=hidden -fno-strict-aliasing -MMD -MP \
        $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer,-fno-plt -falign-functions=32) $(CPPFLAGS) $(CFLAGS)
LIBS := -lcurl -lsodium -llmdb -lcrypto -lpthread -lm

# An event passes through a dozen of the core's small files, and as many of the binding's: gcc optimizes what goes into a
# module as a whole (link-time optimization). The many tests are linked with $(CORE_ONE) instead, the same files optimized
# together once: that takes a moment each, as ever. Compilers that can't do this compile and link as usual.
LTO := $(if $(SANITIZE),,$(shell $(CC) -flto=auto -flinker-output=nolto-rel -r -nostdlib -x c /dev/null -o /dev/null 2>/dev/null && echo -flto=auto))

object   = $(patsubst csrc/%.c,$(BUILD)/obj/%.o,$(1))
CORE    := $(call object,$(wildcard csrc/core/*.c))
CORE_ONE := $(BUILD)/obj/core.o
# Each a module of its own, so that the library needs none of their libraries.
EXTRAS  := server xml inflate hiredis
SERVER  := exchange framing intake listen peers replies stream
REDIS   := redis redis_advice redis_lease redis_link redis_nodes redis_pipeline redis_reply redis_slot redis_url
XML_CORE := $(addprefix csrc/core/,hash.c json_write.c number.c utf8.c)
IO      := $(call object,$(filter-out $(EXTRAS:%=csrc/io/%.c) $(SERVER:%=csrc/io/server_%.c) $(REDIS:%=csrc/io/%.c),$(wildcard csrc/io/*.c)))
IO_ARCHIVE := $(BUILD)/obj/io.a
BINDING := $(filter-out $(EXTRAS) server_request server_stream redis redis_lease,$(patsubst csrc/lua/%.c,%,$(wildcard csrc/lua/*.c)))

VMS     := lua5.4 luajit
MODULES := $(foreach vm,$(VMS),$(foreach module,core $(EXTRAS),$(BUILD)/$(vm)/moonweir/$(module).so))

.PHONY: all
all: $(MODULES) $(BUILD)/moonweir ## build the modules for both Luas and the command (default)

$(BUILD)/obj/%.o: csrc/%.c
	@mkdir -p $(@D)
	@echo "  CC $<"
	$(Q)$(CC) $(ALL_CFLAGS) -c $< -o $@

$(CORE): ALL_CFLAGS += $(LTO)
$(CORE_ONE): $(CORE)
	@echo "  LD $@"
	$(Q)$(CC) $(if $(LTO),$(ALL_CFLAGS) $(LTO) -flinker-output=nolto-rel) -r -nostdlib -o $@ $^

# A test is linked with what it uses, and starts with those libraries alone: valgrind has less to read.
$(IO_ARCHIVE): $(IO)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

define vm_rules
$(BUILD)/$(1)/obj/%.o: csrc/lua/%.c
	@mkdir -p $$(@D)
	@echo "  CC $$< ($(1))"
	$(Q)$$(CC) $$(ALL_CFLAGS) $$(LTO) $$(shell $(PKG) --cflags $(1)) -c $$< -o $$@

$(BUILD)/$(1)/moonweir/core.so: $(CORE) $(IO) $(BINDING:%=$(BUILD)/$(1)/obj/%.o)
	@mkdir -p $$(@D)
	@echo "  LD $$@"
	$(Q)$$(CC) $$(ALL_CFLAGS) $$(LTO) $$(LDFLAGS) -shared -o $$@ $$^ $$(LIBS)

$(BUILD)/$(1)/moonweir/server.so: EXTRA = -lmicrohttpd
$(BUILD)/$(1)/moonweir/xml.so: EXTRA = -lexpat
$(BUILD)/$(1)/moonweir/inflate.so: EXTRA = -lz
$(BUILD)/$(1)/moonweir/server.so: $(SERVER:%=$(BUILD)/obj/io/server_%.o) $(BUILD)/$(1)/obj/server_request.o $(BUILD)/$(1)/obj/server_stream.o
$(BUILD)/$(1)/moonweir/xml.so: $(call object,$(XML_CORE))
$(BUILD)/$(1)/moonweir/hiredis.so: EXTRA = -lhiredis -lssl -lcrypto -lsodium
$(BUILD)/$(1)/moonweir/hiredis.so: $(REDIS:%=$(BUILD)/obj/io/%.o) $(BUILD)/obj/io/private.o $(BUILD)/$(1)/obj/redis.o $(BUILD)/$(1)/obj/redis_lease.o
$(patsubst %,$(BUILD)/$(1)/moonweir/%.so,$(filter-out hiredis,$(EXTRAS))): $(BUILD)/$(1)/moonweir/%.so: $(BUILD)/obj/io/%.o $(BUILD)/$(1)/obj/%.o
$(EXTRAS:%=$(BUILD)/$(1)/moonweir/%.so): $(call object,csrc/core/buf.c csrc/core/err.c)
	@mkdir -p $$(@D)
	@echo "  LD $$@"
	$(Q)$$(CC) $$(ALL_CFLAGS) $$(LTO) $$(LDFLAGS) -shared -o $$@ $$^ $$(EXTRA)
endef
$(foreach vm,$(VMS),$(eval $(call vm_rules,$(vm))))

# The command, run from the tree, wherever that is moved to. MOONWEIR_LUA=luajit runs it on LuaJIT.
$(BUILD)/moonweir: Makefile
	@mkdir -p $(@D)
	@printf '%s\n' '#!/bin/sh' \
	  'here=$$(dirname "$$(readlink -f "$$0")")' \
	  'tree=$$(cd "$$here/$(shell realpath -m --relative-to=$(BUILD) .)" && pwd)' \
	  'vm=$${MOONWEIR_LUA:-lua5.4}' \
	  'case $${vm##*/} in *jit*) build=luajit ;; *) build=lua5.4 ;; esac' \
	  'LUA_PATH="$$tree/lua/?.lua;$$tree/lua/?/init.lua;$$LUA_PATH;;"' \
	  'LUA_CPATH="$$here/$$build/?.so;$$LUA_CPATH;;"' \
	  'export LUA_PATH LUA_CPATH' \
	  'exec "$$vm" "$$tree/lua/moonweir/cli/moonweir.lua" "$$@"' > $@
	@chmod +x $@

# --- packages -----------------------------------------------------------------------------------------------

# nginx's Lua module brings its own build of LuaJIT, which takes the place of the usual one.
JIT := $(if $(shell dpkg-query -W -f '$${Status}' luajit2 2>/dev/null | grep 'ok installed'),luajit2 libluajit2-5.1-dev,luajit libluajit-5.1-dev)
RUN_PACKAGES   := build-essential pkg-config lua5.4 liblua5.4-dev $(JIT) lua-argparse lua-cjson \
                  libcurl4-openssl-dev libsodium-dev liblmdb-dev libssl-dev libmicrohttpd-dev libexpat1-dev zlib1g-dev libhiredis-dev ca-certificates
# The tests start an nginx, whose Lua module brings its own build of LuaJIT along, and a redis-server.
HOST_PACKAGES  := luajit2 libluajit2-5.1-dev nginx libnginx-mod-http-lua lua-resty-core procps redis-server lua-redis lua-socket
TEST_PACKAGES  := $(filter-out $(JIT),$(RUN_PACKAGES)) $(HOST_PACKAGES) lua-busted luarocks openssl curl git python3-jsonschema
CHECK_PACKAGES := $(TEST_PACKAGES) wrk systemd lua-check clang clang-format libclang-rt-14-dev cppcheck valgrind ccache

# Node brings npm along or, from Debian, does not.
BROWSER_PACKAGES := $(RUN_PACKAGES) chromium chromium-driver python3-selenium curl $(if $(shell command -v npm),,nodejs npm)

# $(call install,packages): asks for them only if one is missing, so that a second run needs no network.
install = missing=; for p in $(1); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
  if [ -n "$$missing" ]; then echo "installing:$$missing"; \
    sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
    $$sudo apt-get update -q && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $$missing; \
  fi

.PHONY: packages test-packages check-packages browser-packages
packages:
	@$(call install,$(RUN_PACKAGES))
test-packages:
	@$(call install,$(TEST_PACKAGES))
check-packages:
	@$(call install,$(CHECK_PACKAGES))
browser-packages:
	@$(call install,$(BROWSER_PACKAGES))

# --- the main job --------------------------------------------------------------------------------------------

.PHONY: run
run: packages ## install what is needed, build, send the demo source's events to a local debugger and show what arrived
	@$(MAKE) -s -j2 all
	@MOONWEIR=$(BUILD)/moonweir sh examples/acme-mail/demo.sh

# --- tests -----------------------------------------------------------------------------------------------------

TESTS := $(patsubst spec/c/%.c,$(BUILD)/test/%,$(wildcard spec/c/*_test.c) spec/c/weir_simulation.c)
TOOLS := $(addprefix $(BUILD)/test/,mockserver sink poster crowd turns_history)

$(BUILD)/test/xml_test $(BUILD)/test/xml_memory_test: $(BUILD)/obj/io/xml.o
$(BUILD)/test/xml_test $(BUILD)/test/xml_memory_test: LIBS += -lexpat
$(BUILD)/test/inflate_test: $(BUILD)/obj/io/inflate.o
$(BUILD)/test/inflate_test: LIBS += -lz
$(filter $(BUILD)/test/redis_%,$(TESTS)): $(REDIS:%=$(BUILD)/obj/io/%.o)
$(filter $(BUILD)/test/redis_%,$(TESTS)): LIBS += -lhiredis -lssl
# A test's own code is not what takes time when it runs, but it is when it is built.
TEST_OPT := -O1
# The tests that make every allocation fail in turn put themselves between us and malloc.
$(BUILD)/test/%_memory_test: LIBS += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
# The one that cuts the power puts itself between liblmdb and libc.
$(BUILD)/test/power_loss_test: LIBS += -rdynamic
$(BUILD)/test/%: spec/c/%.c $(CORE_ONE) $(IO_ARCHIVE)
	@mkdir -p $(@D)
	@echo "  LD $@"
	$(Q)$(CC) $(ALL_CFLAGS) $(TEST_OPT) -o $@ $(filter-out %.h %.a,$^) $(IO_ARCHIVE) -Wl,--as-needed $(LIBS)
$(BUILD)/test/%: spec/crash/%.c $(CORE_ONE) $(IO_ARCHIVE)
	@mkdir -p $(@D)
	@echo "  LD $@"
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< $(CORE_ONE) $(IO_ARCHIVE) -Wl,--as-needed $(LIBS)
$(BUILD)/test/mockserver: spec/support/mockserver.c spec/support/mockscript.c
	@mkdir -p $(@D)
	@echo "  LD $@"
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $(filter-out %.h,$^) -lssl -lcrypto -lpthread
$(BUILD)/test/%: spec/support/%.c
	@mkdir -p $(@D)
	@echo "  LD $@"
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $<
$(BUILD)/test/%: spec/bench/%.c $(CORE) $(IO)
	@mkdir -p $(@D)
	@echo "  LD $@"
	$(Q)$(CC) $(ALL_CFLAGS) $(LTO) -o $@ $< $(CORE) $(IO) $(LIBS) -lssl

.PHONY: test spec spec-c spec-lua
test: test-packages ## install what is needed, build and run every test on both Luas
	@$(MAKE) -j2 all
	@$(MAKE) spec

spec: all $(TOOLS) ## the tests alone
	@$(MAKE) -j2 $(TESTS)
	@echo "== C tests, and specs on $(VMS): some minutes"
	@$(call side_by_side,$(C_RUNS) $(LUA_RUNS))

export MW_MOCKSERVER = $(abspath $(BUILD)/test/mockserver)
export MW_SINK = $(abspath $(BUILD)/test/sink)
export MW_POSTER = $(abspath $(BUILD)/test/poster)
export MW_CROWD = $(abspath $(BUILD)/test/crowd)
export MW_COMMAND = $(abspath $(BUILD)/moonweir)
export MW_BUILD = $(BUILD)
export MW_KEYS = $(abspath build/keys)

# $(call side_by_side,runs): most of a test's time is waiting. Those that take longest begin first. A run is a program,
# or a Lua and its spec as lua5.4:spec/x_spec.lua.
JOBS ?= $(if $(SANITIZE),4,6)
side_by_side = printf '%s\n' $(1) | xargs -P$(JOBS) -n1 sh spec/support/one_test.sh
longest_first = $(foreach name,$(1),$(filter $(name),$(2))) $(filter-out $(1),$(2))

LONG_TESTS := %/power_loss_test %/weir_simulation %/engine_oauth_fault_test %/number_test %/rsa_key_test
LONG_SPECS := $(patsubst %,spec/%_spec.lua,cli_serve cli_worker cli_serve_workers redis_hosts hosts/openresty e2e cli_serve_starved \
              cli_serve_readiness redis_cluster redis_budget cli_top server cli_serve_crash cli_serve_failures hiredis)
C_RUNS   = $(call longest_first,$(LONG_TESTS),$(TESTS))
SPECS   := $(call longest_first,$(LONG_SPECS),$(wildcard spec/*_spec.lua spec/hosts/*_spec.lua))
LUA_RUNS = $(foreach spec,$(SPECS),$(VMS:%=%:$(spec)))

spec-c: $(TOOLS)
	@$(MAKE) -j2 $(TESTS)
	@$(call side_by_side,$(C_RUNS))

spec-lua: all $(TOOLS)
	@$(call side_by_side,$(LUA_RUNS))

$(BUILD)/node/node_modules: spec/browser/package-lock.json
	@mkdir -p $(@D)
	@cp spec/browser/package.json spec/browser/package-lock.json $(@D)
	@cd $(@D) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && touch node_modules

.PHONY: browser
browser: browser-packages ## the pages in headless Chromium, and Segment's own Node library against the debugger
	@$(MAKE) -j2 all $(BUILD)/node/node_modules
	@cd spec/browser && printf '%s\n' $(or $(BROWSER),$(patsubst %.py,%,$(notdir $(wildcard spec/browser/*_test.py)))) | \
	  MW_NODE=$(abspath $(BUILD)/node) no_proxy=127.0.0.1,localhost NO_PROXY=127.0.0.1,localhost PYTHONDONTWRITEBYTECODE=1 xargs -P3 -n1 sh ../support/one_test.sh /usr/bin/python3 -m unittest

.PHONY: simulate
simulate: $(BUILD)/test/hosts_simulation_test ## delays of 10,000 customers under 50 requests/s, in one process and on 100 workers: the README's tables
	@MW_SIMULATE=1 $<

.PHONY: power
power: $(BUILD)/test/power_loss_test ## 100,000 power cuts (MW_TRIALS): nothing that was accepted is lost
	@MW_TRIALS=$(or $(MW_TRIALS),100000) $<

.PHONY: acceptance
acceptance: test-packages all $(TOOLS) $(BUILD)/test/json_corpus_test ## tests that read the reference material in $(SHARED), where it is present
	@if [ ! -d $(SHARED) ]; then echo "skipped: no reference material at $(SHARED)"; else \
	  MW_JSON_CORPUS=$(SHARED)/fixtures/json-test-suite $(BUILD)/test/json_corpus_test && \
	  for vm in $(VMS); do for what in catalogue signatures salesforce webhooks; do echo "== the $$what on $$vm"; \
	    MW_SHARED=$(SHARED) LUA_PATH='lua/?.lua;lua/?/init.lua;;' LUA_CPATH='$(BUILD)/'$$vm'/?.so;;' \
	    $$vm /usr/bin/busted --output=plainTerminal spec/acceptance/$$what.lua || exit 1; done; done; fi

.PHONY: examples
examples: all ## write the pages and plans of the sources in examples/ anew (spec/examples_spec.lua finds those that are stale)
	@for page in examples/*/docs.md; do folder=$$(dirname $$page); source=$$folder/$$(basename $$folder).lua; echo "$$folder"; \
	  $(BUILD)/moonweir docs $$source -o $$page && $(BUILD)/moonweir plan --format markdown $$source > $$folder/plan.md || exit 1; done
	@$(MAKE) -s gallery

CRASH_TESTS := kill_test fault_test full_test outage_test secret_test oauth_secret_test

.PHONY: crash
crash: test-packages ## kill, fail and fill: MW_TRIALS=10000 MW_NESTED=5 MW_FAULTS=1000 MW_OUTAGE=60 for a night of it
	@$(MAKE) -s -j2 $(TOOLS) $(CRASH_TESTS:%=$(BUILD)/test/%)
	@for t in $(CRASH_TESTS); do echo "== $$t"; $(BUILD)/test/$$t || exit 1; done
	@echo "== the daemon, killed while webhooks come in"
	@$(MAKE) -s all
	@MW_SERVE_TRIALS=$(or $(MW_SERVE_TRIALS),1000) LUA_PATH='lua/?.lua;lua/?/init.lua;spec/?.lua;;' LUA_CPATH='$(BUILD)/lua5.4/?.so;;' \
	  lua5.4 /usr/bin/busted --output=plainTerminal spec/cli_serve_crash_spec.lua

.PHONY: hosts
hosts: test-packages ## nginx under load, reloaded and its workers killed: MW_RELOADS=200 MW_KILLS=50 for all of it
	@$(call install,wrk)
	@$(MAKE) -s -j2 all $(TOOLS)
	@LUA_PATH='lua/?.lua;lua/?/init.lua;spec/?.lua;;' LUA_CPATH='$(BUILD)/luajit/?.so;;' \
	  luajit /usr/bin/busted --output=plainTerminal spec/hosts/openresty_load.lua

TSAN_TESTS := budget_test dead_test keyring_test secret_heap_test state_test vault_test http_test http_errand_test http_fault_test engine_test \
              engine_life_test engine_spool_test engine_oauth_test engine_oauth_fault_test engine_lease_test engine_turns_test rsa_key_test vault_app_test

.PHONY: asan tsan valgrind
asan: check-packages ## the tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(MAKE) SANITIZE=address,undefined -j2 spec-sanitized
# gcc warns of fences, which ThreadSanitizer does not know.
tsan: check-packages ## the threaded tests under ThreadSanitizer
	@$(MAKE) WERROR= SANITIZE=thread BUILD=build/thread -j2 $(TSAN_TESTS:%=build/thread/test/%) build/thread/test/mockserver
	@export MW_TSAN=1 MW_MOCKSERVER=$(abspath build/thread/test/mockserver); \
	  $(call side_by_side,$(TSAN_TESTS:%=build/thread/test/%))

.PHONY: spec-sanitized
# Specs that do their work in this process; those that start many others are checked without sanitizers.
OWN_SPECS = $(filter-out spec/e2e% spec/examples_spec% spec/bad_input% spec/cli% spec/rockspec% spec/redis_hosts% spec/redis_cluster% spec/tutorial%,$(wildcard spec/*_spec.lua))
PRELOAD = $(shell $(CC) -print-file-name=libasan.so):$(shell $(CC) -print-file-name=libubsan.so)
# Two processes for each Lua, as most of their time is waiting; not one for each spec: what libraries keep until a process
# ends is no leak.
spec-sanitized: all $(TOOLS)
	@MW_HISTORIES=200 MW_DOUBLES=100000 MW_TRIALS=500 $(MAKE) SANITIZE=$(SANITIZE) spec-c
	@echo "== specs on $(VMS), sanitized"
	@$(MAKE) SANITIZE=$(SANITIZE) -j4 -Otarget $(foreach vm,$(VMS),spec-sanitized-$(vm)-0 spec-sanitized-$(vm)-1)
spec-sanitized-%: vm = $(word 1,$(subst -, ,$*))
spec-sanitized-%: half = $(word 2,$(subst -, ,$*))
spec-sanitized-%:
	@MOONWEIR_LUA=$(vm) LUA_PATH='lua/?.lua;lua/?/init.lua;spec/?.lua;;' LUA_CPATH='$(BUILD)/$(vm)/?.so;;' \
	  MW_SANITIZED=1 LD_PRELOAD=$(PRELOAD) ASAN_OPTIONS=detect_leaks=1 \
	  $(vm) /usr/bin/busted --output=plainTerminal $(BUSTED) $$(printf '%s\n' $(OWN_SPECS) | awk 'NR % 2 == $(half)') </dev/null

# What valgrind alone sees is memory read before it was written. It takes thirty times as long: tests at random have fewer
# rounds, and those that compute or wait for minutes and do nothing new are left out.
VALGRIND_TESTS = $(filter-out %/engine_fault_test %/engine_test %/hosts_simulation_test,$(TESTS))
valgrind: check-packages ## the C tests under valgrind's memory check
	@$(MAKE) -j2 $(TESTS) $(TOOLS)
	@printf '%s\n' $(VALGRIND_TESTS) | MW_HISTORIES=20 MW_DOUBLES=2000 MW_TRIALS=100 MW_VALGRIND=1 xargs -P2 -n1 \
	  valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite --child-silent-after-fork=yes

.PHONY: lint
# All that gcc builds is a check of it if WERROR=1 was asked for from the start, as .ci/run does: then no build is made for that
# alone. What clang says, it says without writing code.
CLANG_CHECK = xargs -P2 -n8 clang -std=c11 -D_GNU_SOURCE $(WARN) -Werror -fsyntax-only $(CPPFLAGS) $(CFLAGS)
lint: check-packages ## warnings as errors with both compilers, cppcheck, luacheck, formatting
	@$(if $(WERROR),,$(MAKE) -s -j2 WERROR=1 BUILD=build/lint all $(patsubst $(BUILD)/%,build/lint/%,$(TESTS) $(TOOLS)) $(CRASH_TESTS:%=build/lint/test/%))
	@echo "== clang"
	@printf '%s\n' $(wildcard csrc/core/*.c csrc/io/*.c spec/c/*.c spec/crash/*.c spec/support/*.c spec/bench/*.c) | $(CLANG_CHECK)
	@for vm in $(VMS); do printf '%s\n' csrc/lua/*.c | $(CLANG_CHECK) $$($(PKG) --cflags $$vm) || exit 1; done
	luacheck -q lua spec examples rockspec/man.lua
	cppcheck -q --std=c11 --error-exitcode=1 --inline-suppr --enable=warning,portability --suppress=missingInclude csrc
	@echo "== clang-format"
	@clang-format --dry-run -Werror $(wildcard csrc/*/*.[ch] spec/c/*.[ch] spec/crash/*.[ch] spec/support/*.c spec/bench/*.c)

.PHONY: gallery
gallery: all ## write the README's table of the sources in examples/
	@LUA_PATH='lua/?.lua;lua/?/init.lua;;' LUA_CPATH='$(BUILD)/lua5.4/?.so;;' lua5.4 spec/support/gallery.lua

.PHONY: redis
redis: test-packages all $(TOOLS) ## a million entries through four workers that are killed, and a Redis that is: REDIS_SOAK="entries kills seed"
	@LUA_PATH='./?.lua;lua/?.lua;lua/?/init.lua;;' LUA_CPATH='$(BUILD)/lua5.4/?.so;;' lua5.4 spec/hosts/redis_soak.lua $(REDIS_SOAK)

.PHONY: soak
SOAK ?= 1e7 1e9 100
soak: $(BUILD)/test/soak ## messages through a spool, its backlog swinging: SOAK="messages backlog lanes seconds" (not part of the tests)
	@folder=$$(mktemp -d $(BUILD)/soak-XXXXXX) && trap 'rm -rf "$$folder"' EXIT INT TERM && $(BUILD)/test/soak $$folder $(SOAK)

.PHONY: bench
bench: test-packages ## what one event costs, medians of five (see spec/bench)
	@$(call install,wrk)
	@$(MAKE) -s -j2 all $(patsubst spec/bench/%.c,$(BUILD)/test/%,$(wildcard spec/bench/*.c))
	@sh spec/bench/run.sh

include rockspec/package.mk

.PHONY: clean help
clean: ## remove what was built
	rm -rf build

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

# Of this build alone: others, in folders within, may be at work.
-include $(shell find $(addprefix $(BUILD)/,obj test $(VMS)) -name '*.d' 2>/dev/null)
