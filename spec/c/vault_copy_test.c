#include "../../csrc/io/vault_copy.h"

#include "vault_fixture.h"

static uint8_t room[MW_VAULT_ROW_MAX];

static struct mw_span out(struct fixture *f, const char *account)
{
	size_t len;
	if (mw_vault_copy_out(f->v, false, span(account), room, &len, &error) != MW_OK)
		abort();
	return (struct mw_span){len > 0 ? room : NULL, len};
}

static size_t in(struct fixture *f, const char *account, struct mw_span row)
{
	size_t changed;
	const struct mw_vault_copy c = {.name = span(account), .row = row};
	if (mw_vault_copy_in(f->v, &c, 1, &changed, &error) != MW_OK)
		abort();
	return changed;
}

static int named;

static void name(void *context, struct mw_span account)
{
	(void)context;
	named += account.len == 4 && memcmp(account.at, "acme", 4) == 0;
}

static int changes(struct fixture *f, uint64_t *revision)
{
	named = 0;
	return mw_vault_changes(f->v, revision, name, NULL, &error) == MW_OK ? named : -1;
}

TEST(a_row_opens_where_it_was_copied_to_and_is_told_as_a_change)
{
	struct fixture a, b;
	uint64_t revision = 0;
	CHECK(start(&a, "copy-a", master(0)) && start(&b, "copy-b", master(0)));
	CHECK(set(&a, "acme", "key-of-acme-1", "eu", "Acme") == MW_OK);
	CHECK(in(&b, "acme", out(&a, "acme")) == 1 && holds(&b, "acme", "key-of-acme-1", eu));
	CHECK(changes(&b, &revision) == 1 && changes(&b, &revision) == 0);
	/* Numbers differ; what they number does not. */
	CHECK(in(&b, "acme", out(&a, "acme")) == 0 && changes(&b, &revision) == 0);
	CHECK(mw_vault_pause(a.v, span("acme"), &error) == MW_OK);
	CHECK(in(&b, "acme", out(&a, "acme")) == 1 && changes(&b, &revision) == 1);
	struct mw_key key;
	CHECK(get(&b, "acme", &key) == MW_OK && got_paused);
	CHECK(set(&b, "acme", "key-of-acme-2", NULL, NULL) == MW_OK &&
	      holds(&b, "acme", "key-of-acme-2", eu));
	stop(&a);
	stop(&b);
}

TEST(what_is_gone_there_goes_here)
{
	struct fixture b;
	uint64_t revision = 0;
	struct shown k;
	CHECK(start(&b, "copy-c", master(0)));
	CHECK(set(&b, "acme", "key-of-acme-1", NULL, NULL) == MW_OK && changes(&b, &revision) == 1);
	CHECK(in(&b, "acme", (struct mw_span){NULL, 0}) == 1 && !show(&b, "acme", &k));
	CHECK(changes(&b, &revision) == 1);
	CHECK(in(&b, "acme", (struct mw_span){NULL, 0}) == 0 && out(&b, "acme").len == 0);
	stop(&b);
}

TEST(no_row_can_be_another_accounts_and_damage_is_no_harm)
{
	struct fixture a, b;
	struct shown k;
	struct mw_key key;
	CHECK(start(&a, "copy-d", master(0)) && start(&b, "copy-e", master(0)));
	CHECK(set(&a, "acme", "key-of-acme-1", "eu", NULL) == MW_OK);
	CHECK(in(&b, "thief", out(&a, "acme")) == 1);
	CHECK(get(&b, "thief", &key) == MW_CORRUPT && mw_vault_each(b.v, keep, &k, &error) == MW_OK);
	struct mw_span row = out(&a, "acme");
	for (size_t i = 0; i < row.len; i++) {
		row = out(&a, "acme");
		room[i] ^= 0x10;
		in(&b, "acme", row);
		CHECK(get(&b, "acme", &key) != MW_OK && key.len == 0);
	}
	CHECK(in(&b, "acme", out(&a, "acme")) == 1 && holds(&b, "acme", "key-of-acme-1", eu));
	/* Nothing that fits no row, and no name that is none. */
	static uint8_t long_row[MW_ACCOUNT_ROW_MAX + 1];
	CHECK(in(&b, "acme", (struct mw_span){long_row, sizeof long_row}) == 0);
	CHECK(in(&b, "", out(&a, "acme")) == 0);
	stop(&a);
	stop(&b);
}

TEST(another_master_key_opens_none)
{
	struct fixture a, b;
	struct mw_key key;
	CHECK(start(&a, "copy-f", master(0)) && start(&b, "copy-g", master(1)));
	CHECK(set(&a, "acme", "key-of-acme-1", "eu", NULL) == MW_OK);
	CHECK(in(&b, "acme", out(&a, "acme")) == 1 && get(&b, "acme", &key) == MW_BAD_MASTER_KEY);
	stop(&a);
	stop(&b);
}

int main(void)
{
	RUN(a_row_opens_where_it_was_copied_to_and_is_told_as_a_change);
	RUN(what_is_gone_there_goes_here);
	RUN(no_row_can_be_another_accounts_and_damage_is_no_harm);
	RUN(another_master_key_opens_none);
	return CHECK_END();
}
