/* turn.h -- one lane's turn under the budget of many hosts (turns.h).
 *
 *     NONE --want--> WANTED --ask--> ASKED --grant--> GIVEN --take--> NONE
 *                      ^ not yet, lost |                | its window passed
 *                      +---------------+----------------+
 */
#ifndef MW_TURN_H
#define MW_TURN_H

#include <stdbool.h>
#include <stdint.h>

struct mw_lane;

enum mw_turn_state {
	MW_TURN_NONE,
	MW_TURN_WANTED, /* to be asked for, at its tick */
	MW_TURN_ASKED,  /* a question with its account is under way */
	MW_TURN_GIVEN   /* good from from_us until until_us */
};

struct mw_turn {
	struct mw_lane *lane; /* whose it is; NULL: it is for requests for tokens */
	struct mw_turn *next, *before;
	int64_t from_us, until_us;
	int64_t ask_at; /* WANTED: ms ... */
	int64_t tick;   /* ... and where it stands until then */
	enum mw_turn_state state;
	bool is_new;  /* WANTED: it was not asked for before; it has no tick */
	bool is_out;  /* its request has left the weir, and no answer is in */
	bool is_owed; /* the last one was lost through no fault of the account's: this one comes before others
		       */
	bool is_full; /* it was told when it was last asked for that a full batch waits */
	bool is_called;  /* GIVEN: its lane was told that its time has come */
	uint8_t refused; /* how often in a row another worker's lane of the same account had it */
};

struct mw_turn_list {
	struct mw_turn *front, *back;
};

#endif
