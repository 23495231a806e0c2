# `make run` and `make test` install what is missing and then do what their names say; so do the others. Every command that needs the toolkit
# runs through build-aux/enter: right here on a machine with GTK 4.18 and libadwaita 1.7, else in a Debian 13 build root.

PREFIX = /usr/local
DESTDIR =
APPLICATION = io.github.guesthouse_vm.Guesthouse
ENTER = build-aux/enter
# Where cargo leaves what it builds.
CARGO_TARGET_DIR ?= target
BUILT = $(CARGO_TARGET_DIR)/release
SHARE = $(CARGO_TARGET_DIR)/share

.PHONY: help run build data test test-guests check fuzz bench shell dependencies media screenshots flatpak install uninstall clean

help:
	@echo 'make run           start Guesthouse (under a virtual display where there is none)'
	@echo 'make test          every test, with a few operating systems'
	@echo 'make test-guests   the tests that boot whole operating systems, in the nested rig (FILTER=words of their names)'
	@echo 'make check         formatting, lints, licences, desktop files'
	@echo 'make fuzz          what guests, images and clients control, under libFuzzer (FILTER=words of targets, GUESTHOUSE_FUZZ_SECONDS= for each)'
	@echo 'make build         target/release/guesthouse'
	@echo 'make bench         measurements beside QEMU (FILTER=words of their names, COMPARE=an earlier results.json)'
	@echo 'make shell         a shell where the toolkit is'
	@echo 'make screenshots   the pictures of README.md and the AppStream description, anew from the program'
	@echo 'make flatpak       the Flatpak, built offline, installed apart from yours and tried in its sandbox'
	@echo 'make install       into DESTDIR ($(DESTDIR)) and PREFIX ($(PREFIX)); make uninstall takes it away'
	@echo 'make clean         removes target/; the cache in ~/.cache/guesthouse stays'

dependencies:
	@build-aux/dependencies

build: data
	$(ENTER) cargo build --release --locked --package guesthouse
	$(ENTER) $(BUILT)/guesthouse document $(BUILT)/share

run: build
	build-aux/run target/release/guesthouse

# Translations, settings and descriptions, where the program looks for them beside itself.
data: dependencies
	$(ENTER) build-aux/data

media: dependencies
	@build-aux/media >/dev/null

test: data media
	build-aux/test

test-guests: dependencies
	build-aux/test-guests $(FILTER)

check: dependencies
	$(ENTER) cargo fmt --all --check
	$(ENTER) cargo clippy --workspace --all-targets --locked -- --deny warnings
	$(ENTER) build-aux/check-licences
	$(ENTER) build-aux/check-data

fuzz: dependencies
	build-aux/fuzz $(FILTER)

bench: build
	build-aux/bench $(FILTER) $(if $(COMPARE),--compare '$(COMPARE)')

shell: dependencies
	@$(ENTER) /bin/sh -c 'exec "$$(command -v "$${SHELL:-bash}" || echo /bin/sh)"'

screenshots: build
	build-aux/screenshots

# Builds the Flatpak without a store of Flatpaks, installs it apart from the user's own, and tries it in its sandbox.
flatpak: dependencies media
	build-aux/flatpak

# Installs what `make build` left, so that it may run as another user than the one who built.
install:
	@test -x $(BUILT)/guesthouse && test -d $(BUILT)/share || { echo 'run `make build` first' >&2; exit 1; }
	install -D -m 755 $(BUILT)/guesthouse '$(DESTDIR)$(PREFIX)/bin/guesthouse'
	install -D -m 755 $(BUILT)/guesthouse-window '$(DESTDIR)$(PREFIX)/libexec/guesthouse/guesthouse-window'
	install -D -m 644 $(SHARE)/applications/$(APPLICATION).desktop '$(DESTDIR)$(PREFIX)/share/applications/$(APPLICATION).desktop'
	install -D -m 644 $(SHARE)/metainfo/$(APPLICATION).metainfo.xml '$(DESTDIR)$(PREFIX)/share/metainfo/$(APPLICATION).metainfo.xml'
	install -D -m 644 data/$(APPLICATION).gschema.xml '$(DESTDIR)$(PREFIX)/share/glib-2.0/schemas/$(APPLICATION).gschema.xml'
	install -D -m 644 data/$(APPLICATION).Manager.xml '$(DESTDIR)$(PREFIX)/share/dbus-1/interfaces/$(APPLICATION).Manager.xml'
	install -D -m 644 data/$(APPLICATION).search-provider.ini \
		'$(DESTDIR)$(PREFIX)/share/gnome-shell/search-providers/$(APPLICATION).search-provider.ini'
	install -d '$(DESTDIR)$(PREFIX)/share/dbus-1/services'
	sed 's,@prefix@,$(PREFIX),' data/$(APPLICATION).service.in >'$(DESTDIR)$(PREFIX)/share/dbus-1/services/$(APPLICATION).service'
	for language in $$(grep -v '^#' po/LINGUAS); do \
		install -D -m 644 $(SHARE)/locale/$$language/LC_MESSAGES/guesthouse.mo \
			"$(DESTDIR)$(PREFIX)/share/locale/$$language/LC_MESSAGES/guesthouse.mo" || exit 1; \
	done
	test -n '$(DESTDIR)' || glib-compile-schemas '$(PREFIX)/share/glib-2.0/schemas'
	install -D -m 644 icons/scalable/$(APPLICATION).svg \
		'$(DESTDIR)$(PREFIX)/share/icons/hicolor/scalable/apps/$(APPLICATION).svg'
	install -D -m 644 icons/symbolic/$(APPLICATION)-symbolic.svg \
		'$(DESTDIR)$(PREFIX)/share/icons/hicolor/symbolic/apps/$(APPLICATION)-symbolic.svg'
	install -D -m 644 LICENSE '$(DESTDIR)$(PREFIX)/share/licenses/guesthouse/LICENSE'
	install -D -m 644 -t '$(DESTDIR)$(PREFIX)/share/man/man1' $(BUILT)/share/man/man1/*.1
	install -D -m 644 $(BUILT)/share/bash-completion/completions/guesthouse \
		'$(DESTDIR)$(PREFIX)/share/bash-completion/completions/guesthouse'
	install -D -m 644 $(BUILT)/share/zsh/site-functions/_guesthouse '$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_guesthouse'
	install -D -m 644 $(BUILT)/share/fish/vendor_completions.d/guesthouse.fish \
		'$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/guesthouse.fish'

uninstall:
	rm -f '$(DESTDIR)$(PREFIX)/bin/guesthouse' '$(DESTDIR)$(PREFIX)/libexec/guesthouse/guesthouse-window' \
		'$(DESTDIR)$(PREFIX)/share/applications/$(APPLICATION).desktop' \
		'$(DESTDIR)$(PREFIX)/share/metainfo/$(APPLICATION).metainfo.xml' \
		'$(DESTDIR)$(PREFIX)/share/icons/hicolor/scalable/apps/$(APPLICATION).svg' \
		'$(DESTDIR)$(PREFIX)/share/icons/hicolor/symbolic/apps/$(APPLICATION)-symbolic.svg' \
		'$(DESTDIR)$(PREFIX)/share/licenses/guesthouse/LICENSE' \
		'$(DESTDIR)$(PREFIX)/share/glib-2.0/schemas/$(APPLICATION).gschema.xml' \
		'$(DESTDIR)$(PREFIX)/share/dbus-1/interfaces/$(APPLICATION).Manager.xml' \
		'$(DESTDIR)$(PREFIX)/share/dbus-1/services/$(APPLICATION).service' \
		'$(DESTDIR)$(PREFIX)/share/gnome-shell/search-providers/$(APPLICATION).search-provider.ini' \
		'$(DESTDIR)$(PREFIX)'/share/locale/*/LC_MESSAGES/guesthouse.mo \
		'$(DESTDIR)$(PREFIX)/share/man/man1/guesthouse.1' '$(DESTDIR)$(PREFIX)'/share/man/man1/guesthouse-*.1 \
		'$(DESTDIR)$(PREFIX)/share/bash-completion/completions/guesthouse' \
		'$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_guesthouse' \
		'$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/guesthouse.fish'

clean:
	rm -rf target
