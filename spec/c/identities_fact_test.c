#include "../../csrc/io/identities_fact.h"

#include "identities_fixture.h"

static uint8_t name[MW_FACT_NAME_LEN], sealed[MW_FACT_SEALED_MAX], room[MW_FACT_TEXT_MAX];

TEST(what_was_sealed_opens_with_the_same_master_key_and_with_no_other)
{
	struct fixture a, b;
	CHECK(start(&a, "fact-a") && start_with(&b, "fact-b", master(1), 0));
	const struct mw_identities *d = a.d, *stranger = b.d;
	struct mw_identity_fact f = fact(MW_IDENTITY_EMAIL, " Ann@Example.com", "u1", 0), g;
	f.is_fallback = true;
	size_t len = mw_identities_seal(d, &f, name, sealed);
	CHECK(len > 0 && mw_identities_unseal(d, name, (struct mw_span){sealed, len}, room, &g));
	CHECK(mw_span_equal(g.account, span("acme")) && mw_span_equal(g.id, span("ann@example.com")) &&
	      mw_span_equal(g.user, span("u1")) && g.kind == MW_IDENTITY_EMAIL && g.is_fallback && !g.forget);
	CHECK(!mw_identities_unseal(stranger, name, (struct mw_span){sealed, len}, room, &g));
	for (size_t i = 0; i < len; i++) {
		sealed[i] ^= 1;
		CHECK(!mw_identities_unseal(d, name, (struct mw_span){sealed, len}, room, &g));
		sealed[i] ^= 1;
		CHECK(!mw_identities_unseal(d, name, (struct mw_span){sealed, i}, room, &g));
	}
	name[0] ^= 1;
	CHECK(!mw_identities_unseal(d, name, (struct mw_span){sealed, len}, room, &g));
	stop(&a);
	stop(&b);
}

TEST(names_are_alike_for_what_is_the_same_and_begin_with_the_user)
{
	struct fixture a;
	CHECK(start(&a, "fact-c"));
	const struct mw_identities *d = a.d;
	uint8_t first[MW_FACT_NAME_LEN];
	static const uint8_t zeros[MW_NODE_LEN];
	const struct mw_identity_fact f[] = {fact(MW_IDENTITY_EMAIL, "ann@example.com", "u1", 0),
					     fact(MW_IDENTITY_EMAIL, "ANN@example.com ", "u1", 0),
					     fact(MW_IDENTITY_EMAIL, "bob@example.com", "u1", 0),
					     fact(MW_IDENTITY_TOOL, "ann@example.com", "u1", 0),
					     fact(MW_IDENTITY_EMAIL, "ann@example.com", "u2", 0)};
	CHECK(mw_identities_seal(d, &f[0], first, sealed) > 0);
	for (int i = 1; i < 5; i++) {
		CHECK(mw_identities_seal(d, &f[i], name, sealed) > 0);
		CHECK((memcmp(first, name, sizeof name) == 0) == (i == 1));
		CHECK((memcmp(first, name, MW_NODE_LEN) == 0) == (i != 4));
	}
	struct mw_identity_fact forget = {.account = span("acme"), .user = span("u1"), .forget = true}, g;
	size_t len = mw_identities_seal(d, &forget, name, sealed);
	CHECK(memcmp(first, name, MW_NODE_LEN) == 0 && memcmp(name + MW_NODE_LEN, zeros, sizeof zeros) == 0);
	CHECK(mw_identities_unseal(d, name, (struct mw_span){sealed, len}, room, &g) && g.forget);
	stop(&a);
}

TEST(what_says_nothing_is_not_sealed)
{
	struct fixture a;
	CHECK(start(&a, "fact-d"));
	const struct mw_identities *d = a.d;
	static char text[MW_IDENTITY_MAX + 2];
	memset(text, 'x', MW_IDENTITY_MAX + 1);
	const struct mw_identity_fact f[] = {
	    fact(MW_IDENTITY_EMAIL, " ", "u1", 0), fact(MW_IDENTITY_TOOL, "a", "", 0),
	    fact(MW_IDENTITY_TOOL, text, "u1", 0), fact(MW_IDENTITY_TOOL, "a", text, 0),
	    fact(MW_IDENTITY_USER, "u1", "u1", 0)};
	for (int i = 0; i < 5; i++)
		CHECK(mw_identities_seal(d, &f[i], name, sealed) == 0);
	text[MW_IDENTITY_MAX] = '\0';
	struct mw_identity_fact longest = fact(MW_IDENTITY_TOOL, text, text, 0);
	static char account[MW_ACCOUNT_MAX + 1];
	memset(account, 'a', MW_ACCOUNT_MAX);
	longest.account = span(account);
	CHECK(mw_identities_seal(d, &longest, name, sealed) == MW_FACT_SEALED_MAX);
	stop(&a);
}

int main(void)
{
	RUN(what_was_sealed_opens_with_the_same_master_key_and_with_no_other);
	RUN(names_are_alike_for_what_is_the_same_and_begin_with_the_user);
	RUN(what_says_nothing_is_not_sealed);
	return CHECK_END();
}
