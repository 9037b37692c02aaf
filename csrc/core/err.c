#include "err.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const words[] = {
#define WORD(code, word, sentence) [code] = word,
    MW_ERRORS(WORD)
#undef WORD
};

static const char *const sentences[] = {
#define SENTENCE(code, word, sentence) [code] = sentence,
    MW_ERRORS(SENTENCE)
#undef SENTENCE
};

const char *mw_err_word(enum mw_err code)
{
	return words[code];
}

const char *mw_err_sentence(enum mw_err code)
{
	return sentences[code];
}

enum mw_err mw_error_set(struct mw_error *e, enum mw_err code, size_t offset, const char *format, ...)
{
	if (!e)
		return code;
	e->code = code;
	e->offset = offset;
	va_list args;
	va_start(args, format);
	vsnprintf(e->detail, sizeof e->detail, format, args);
	va_end(args);
	return code;
}
