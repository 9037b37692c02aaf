# Moonweir. `make help` lists what can be made.

VERSION   := 0.1.0
PREFIX    ?= /usr/local
BUILD     ?= build
CC        ?= cc
PKG       ?= pkg-config

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wmissing-prototypes \
        -Wstrict-prototypes -Wpointer-arith -Wcast-qual -Wformat=2 -Wundef -Wvla $(if $(WERROR),-Werror)
OPT    ?= -O3 -g
CFLAGS += -std=c11 -D_GNU_SOURCE $(OPT) $(WARN) -fPIC -fvisibility=hidden -fno-strict-aliasing \
          -DMW_VERSION='"$(VERSION)"' -MMD -MP $(EXTRA)
LIBS    = -lcurl -lsodium -lcrypto -lpthread -lm

CORE := $(patsubst csrc/%.c,$(BUILD)/obj/%.o,$(wildcard csrc/core/*.c))
IO   := $(patsubst csrc/%.c,$(BUILD)/obj/%.o,$(filter-out csrc/io/server.c,$(wildcard csrc/io/*.c)))
SERVER := $(BUILD)/obj/io/server.o
BIND := $(filter-out server,$(patsubst csrc/lua/%.c,%,$(wildcard csrc/lua/*.c)))

VMS  := lua5.4 luajit
ABI_lua5.4 := 5.4
ABI_luajit := 5.1
MODULES := $(foreach vm,$(VMS),$(BUILD)/$(vm)/moonweir/core.so $(BUILD)/$(vm)/moonweir/server.so)

.PHONY: all
all: $(MODULES) $(BUILD)/moonweir ## build everything (default)

$(BUILD)/obj/%.o: csrc/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -c $< -o $@

define vm_rules
$(BUILD)/$(1)/obj/%.o: csrc/lua/%.c
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(shell $(PKG) --cflags $(1)) -c $$< -o $$@

$(BUILD)/$(1)/moonweir/core.so: $(CORE) $(IO) $(BIND:%=$(BUILD)/$(1)/obj/%.o)
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(LDFLAGS) -shared -Wl,-z,nodelete -o $$@ $$^ $$(LIBS)

$(BUILD)/$(1)/moonweir/server.so: $(SERVER) $(BUILD)/obj/core/buf.o $(BUILD)/obj/core/err.o $(BUILD)/$(1)/obj/server.o
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(LDFLAGS) -shared -Wl,-z,nodelete -o $$@ $$^ -lmicrohttpd
endef
$(foreach vm,$(VMS),$(eval $(call vm_rules,$(vm))))

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
