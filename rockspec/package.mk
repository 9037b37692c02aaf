# What leaves the tree: make install and uninstall, dist (an archive of the sources), rocks (LuaRocks), deb (Debian).
#
# The version is that of csrc/core/version.h and of CHANGELOG.md; spec/rockspec_spec.lua sees that they agree. The rockspecs of
# a release are made from those of the tree (scm-1), so that no list of files is kept twice.

VERSION := $(shell sed -n 's/.*MW_VERSION_TEXT "\(.*\)"/\1/p' csrc/core/version.h)
DATE    := $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null),0)

# --- install ------------------------------------------------------------------------------------------------

abi  = $(if $(filter luajit,$(1)),5.1,5.4)
lmod = $(PREFIX)/share/lua/$(call abi,$(1))
# Where a Lua looks by itself: below /usr Debian has a folder for each architecture.
cmod = $(if $(filter /usr,$(PREFIX)),$(shell $(PKG) --variable=INSTALL_CMOD $(1)),$(PREFIX)/lib/lua/$(call abi,$(1)))
MAN  = $(PREFIX)/share/man/man1/moonweir.1
UNIT = $(PREFIX)/lib/systemd/system/moonweir.service
DOC  = $(PREFIX)/share/doc/moonweir
DOCS = find README.md CHANGELOG.md LICENSE examples -type f

$(BUILD)/moonweir.1: rockspec/man.lua $(BUILD)/moonweir $(MODULES) $(wildcard lua/moonweir/cli/*.lua)
	@MOONWEIR_LUA= lua5.4 rockspec/man.lua $(BUILD)/moonweir > $@ || { rm -f $@; exit 1; }

# The command as it is installed. MOONWEIR_LUA=luajit runs it on LuaJIT.
$(BUILD)/command: rockspec/package.mk FORCE
	@printf '%s\n' '#!/bin/sh' \
	  'vm=$${MOONWEIR_LUA:-lua5.4}' \
	  'case $${vm##*/} in' \
	  '*jit*) share=$(call lmod,luajit) lib=$(call cmod,luajit) ;;' \
	  '*) share=$(call lmod,lua5.4) lib=$(call cmod,lua5.4) ;;' \
	  'esac' \
	  'LUA_PATH="$$share/?.lua;$$share/?/init.lua;$${LUA_PATH:+$$LUA_PATH;};"' \
	  'LUA_CPATH="$$lib/?.so;$${LUA_CPATH:+$$LUA_CPATH;};"' \
	  'export LUA_PATH LUA_CPATH' \
	  'exec "$$vm" "$$share/moonweir/cli/moonweir.lua" "$$@"' > $@
$(BUILD)/unit: examples/systemd/moonweir.service FORCE
	@sed 's|/usr/local/bin/|$(PREFIX)/bin/|' $< > $@

.PHONY: install uninstall FORCE
install: all $(BUILD)/moonweir.1 $(BUILD)/command $(BUILD)/unit ## copy modules, command, manual page, systemd unit and examples below $(DESTDIR)$(PREFIX)
	@for f in $$(cd lua && find . -name '*.lua'); do \
	  $(foreach vm,$(VMS),install -Dm644 lua/$$f $(DESTDIR)$(call lmod,$(vm))/$$f &&) true || exit 1; done
	@$(foreach vm,$(VMS),install -Dm755 -t $(DESTDIR)$(call cmod,$(vm))/moonweir $(filter $(BUILD)/$(vm)/%,$(MODULES)) &&) true
	@install -Dm755 $(BUILD)/command $(DESTDIR)$(PREFIX)/bin/moonweir
	@install -Dm644 $(BUILD)/moonweir.1 $(DESTDIR)$(MAN)
	@install -Dm644 $(BUILD)/unit $(DESTDIR)$(UNIT)
	@for f in $$($(DOCS)); do install -Dm644 $$f $(DESTDIR)$(DOC)/$$f || exit 1; done

# File by file: other rocks and programs may have theirs in the same folders.
uninstall: ## remove what make install has put there
	@cd lua && find . -name '*.lua' | while read -r f; do rm -f $(foreach vm,$(VMS),$(DESTDIR)$(call lmod,$(vm))/$$f); done
	@rm -f $(foreach vm,$(VMS),$(patsubst $(BUILD)/$(vm)/%,$(DESTDIR)$(call cmod,$(vm))/%,$(filter $(BUILD)/$(vm)/%,$(MODULES))))
	@rm -f $(addprefix $(DESTDIR),$(PREFIX)/bin/moonweir $(MAN) $(UNIT))
	@$(DOCS) | while read -r f; do rm -f $(DESTDIR)$(DOC)/$$f; done
	@for folder in $(addprefix $(DESTDIR),$(foreach vm,$(VMS),$(call lmod,$(vm))/moonweir $(call cmod,$(vm))/moonweir) $(DOC)); do \
	  [ ! -d $$folder ] || find $$folder -depth -type d -empty -delete; done

# --- a release ------------------------------------------------------------------------------------------------

ARCHIVE := $(BUILD)/dist/moonweir-$(VERSION).tar.gz
# What git knows; of an unpacked archive, all that came out of it.
SOURCES  = if [ -e .git ]; then git ls-files; else find . -path ./build -prune -o -type f -printf "%P\n"; fi

.PHONY: dist rocks deb
dist: ## the sources as an archive, build/dist/moonweir-VERSION.tar.gz
	@mkdir -p $(dir $(ARCHIVE))
	@$(SOURCES) | tar -c -T - --sort=name --mtime=@$(DATE) --owner=0 --group=0 --numeric-owner --mode=u+rw,go=rX \
	  --transform 's|^|moonweir-$(VERSION)/|' | gzip -9n > $(ARCHIVE)
	@echo $(ARCHIVE)

# Where people will get the archive. Who builds from the rockspec alone asks there; a source rock brings the archive along,
# and until the project has a home the rockspec says no more than its name.
SOURCE_URL ?= file://moonweir-$(VERSION).tar.gz
ROCKS := $(patsubst rockspec/%-scm-1.rockspec,%,$(wildcard rockspec/*-scm-1.rockspec))
ROCKS_IN := $(BUILD)/rocks

# A source rock is a zip of both, as `luarocks pack` makes it, which wants to download the archive first.
rocks: dist ## rockspecs of this version and source rocks, in build/rocks; SOURCE_URL= is where the archive will be
	@rm -rf $(ROCKS_IN) && mkdir -p $(ROCKS_IN) && cp $(ARCHIVE) $(ROCKS_IN)
	@cd $(ROCKS_IN) && for rock in $(ROCKS); do \
	  name=$$rock-$(VERSION)-1 && \
	  sed -e 's|^version = .*|version = "$(VERSION)-1"|' \
	    -e 's|^source = .*|source = { url = "$(SOURCE_URL)", dir = "moonweir-$(VERSION)" }|' \
	    -e '/^dependencies/s|"moonweir"|"moonweir == $(VERSION)"|' \
	    $(CURDIR)/rockspec/$$rock-scm-1.rockspec > $$name.rockspec && \
	  luarocks --lua-version=5.4 lint $$name.rockspec && \
	  zip -qX $$name.src.rock $$name.rockspec $(notdir $(ARCHIVE)) && echo $(ROCKS_IN)/$$name.src.rock || exit 1; done

# Whom users of the package may ask; who builds it for others says who that is.
MAINTAINER   ?= The Moonweir authors <moonweir@example.org>
DEB_PACKAGES := $(RUN_PACKAGES) debhelper fakeroot lintian
.PHONY: deb-packages
deb-packages:
	@$(call install,$(DEB_PACKAGES))

# dpkg wants its folder debian/ at the top of a tree: an unpacked archive gets it.
deb: deb-packages dist ## a Debian package, build/deb/*.deb
	@rm -rf $(BUILD)/deb && mkdir -p $(BUILD)/deb && tar -xzf $(ARCHIVE) -C $(BUILD)/deb
	@cp -R rockspec/debian $(BUILD)/deb/moonweir-$(VERSION)/debian
	@printf 'moonweir ($(VERSION)-1) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- $(MAINTAINER)  %s\n' \
	  "$$(date -uRd @$(DATE))" > $(BUILD)/deb/moonweir-$(VERSION)/debian/changelog
	@sed -i 's|^Maintainer: .*|Maintainer: $(MAINTAINER)|' $(BUILD)/deb/moonweir-$(VERSION)/debian/control
	@cd $(BUILD)/deb/moonweir-$(VERSION) && SOURCE_DATE_EPOCH=$(DATE) dpkg-buildpackage --build=binary --no-sign -j2 >../build.log 2>&1 \
	  || { tail -40 ../build.log; exit 1; }
	@rm -rf $(BUILD)/deb/moonweir-$(VERSION)
	@ls $(BUILD)/deb/*.deb
