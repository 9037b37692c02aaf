/* http_errand.h -- one HTTP request that nobody waits for, by a thread of its own.
 *
 *     struct mw_errand_config config = {.url = "https://id.example/token", .form = form, ...};
 *     mw_errand_start(&config, &x, &e);
 *     if (mw_errand_is_done(x)) mw_errand_answer(x, &status, &body, &e);  asked now and then
 *     mw_errand_free(x);                                                  cuts it, if it is under way
 *
 * For the rare request that is no delivery, such as asking for a write key: it takes no permit, and is not
 * repeated. TLS, redirects and proxy as in http.h; whether http:// will do is for who asks to say. At most
 * 64 KiB are read. What was sent and what came is left out of core files, and wiped with the errand.
 *
 * Used by one thread. A child process may only free it.
 */
#ifndef MW_HTTP_ERRAND_H
#define MW_HTTP_ERRAND_H

#include "../core/buf.h"

enum { MW_ERRAND_ANSWER_MAX = 64 * 1024 };

struct mw_errand;

/* Texts are copied; NULL: none. */
struct mw_errand_config {
	const char *url;
	struct mw_span form; /* what is posted, as application/x-www-form-urlencoded; at NULL: it is a GET */
	const char *user, *password; /* Basic authentication */
	const char *bearer;          /* or this token */
	const char *proxy, *ca_file;
	int64_t timeout_ms;
};

/* MW_IO: no thread or no libcurl; MW_NO_MEMORY. */
enum mw_err mw_errand_start(const struct mw_errand_config *config, struct mw_errand **out,
			    struct mw_error *e);
bool mw_errand_is_done(struct mw_errand *x);

/* Once it is done: the answer, borrowed until free; MW_IO with the reason if there is none. */
enum mw_err mw_errand_answer(struct mw_errand *x, int *status, struct mw_span *body, struct mw_error *e);
void mw_errand_free(struct mw_errand *x); /* NULL is fine */

#endif
