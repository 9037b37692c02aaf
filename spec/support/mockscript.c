#include "mockscript.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void script_reset(struct script *s)
{
	/* What was given out stays so. */
	long tokens = s->tokens, voided = s->voided;
	memset(s, 0, sizeof *s);
	s->tokens = tokens;
	s->voided = voided;
	s->token_life_s = 3600;
	s->huge = s->flood = s->max_body = s->cut_request = s->cut_response = -1;
}

static void sequence_parse(struct sequence *q, const char *text)
{
	memset(q, 0, sizeof *q);
	char *end;
	for (long status; q->count < SEQUENCE_MAX && (status = strtol(text, &end, 10), end != text);
	     text = end)
		q->statuses[q->count++] = (int)status;
}

static void script_key(struct script *s, const char *rest, bool stall)
{
	if (s->keys_count == KEYS_MAX)
		return;
	size_t len = strcspn(rest, " "), at = 0;
	while (at < s->keys_count && !(strncmp(s->keys[at].key, rest, len) == 0 && !s->keys[at].key[len]))
		at++;
	if (at == s->keys_count)
		s->keys_count++;
	snprintf(s->keys[at].key, sizeof s->keys[at].key, "%.*s", (int)len, rest);
	s->keys[at].stall = stall;
	sequence_parse(&s->keys[at].sequence, rest + len);
}

void script_line(struct script *s, char *line)
{
	size_t word = strcspn(line, " ");
	char *rest = line + word + (line[word] ? 1 : 0);
	line[word] = '\0';
	if (strcmp(line, "reset") == 0)
		script_reset(s);
	else if (strcmp(line, "status") == 0)
		sequence_parse(&s->sequence, rest);
	else if (strcmp(line, "always") == 0)
		s->always = atoi(rest);
	else if (strcmp(line, "key") == 0)
		script_key(s, rest, false);
	else if (strcmp(line, "stall-key") == 0)
		script_key(s, rest, true);
	else if (strcmp(line, "header") == 0)
		snprintf(s->header, SCRIPT_TEXT_MAX, "%s%s", rest, *rest ? "\r\n" : "");
	else if (strcmp(line, "body") == 0)
		snprintf(s->body, SCRIPT_TEXT_MAX, "%s", rest);
	else if (strcmp(line, "marker") == 0)
		snprintf(s->marker, SCRIPT_TEXT_MAX, "%s", rest);
	else if (strcmp(line, "huge") == 0)
		s->huge = atol(rest);
	else if (strcmp(line, "flood") == 0)
		s->flood = atol(rest);
	else if (strcmp(line, "max-body") == 0)
		s->max_body = atol(rest);
	else if (strcmp(line, "cut-request") == 0)
		s->cut_request = atol(rest);
	else if (strcmp(line, "cut-response") == 0)
		s->cut_response = atol(rest);
	else if (strcmp(line, "delay") == 0)
		s->delay_ms = atol(rest);
	else if (strcmp(line, "drop-reused") == 0)
		s->drop_reused = true;
	else if (strcmp(line, "stall") == 0)
		s->stall = true;
	else if (strcmp(line, "token-status") == 0)
		sequence_parse(&s->token_sequence, rest);
	else if (strcmp(line, "token-header") == 0)
		snprintf(s->token_header, SCRIPT_TEXT_MAX, "%s%s", rest, *rest ? "\r\n" : "");
	else if (strcmp(line, "token-body") == 0)
		snprintf(s->token_body, SCRIPT_TEXT_MAX, "%s", rest);
	else if (strcmp(line, "token-life") == 0)
		s->token_life_s = atol(rest);
	else if (strcmp(line, "token-stall") == 0)
		s->token_stall = true;
	else if (strcmp(line, "clock") == 0)
		s->clock_s = atol(rest);
	else if (strcmp(line, "bearer") == 0)
		s->bearer = true;
	else if (strcmp(line, "void-tokens") == 0)
		s->voided = s->tokens;
	else if (*line)
		fprintf(stderr, "mockserver: no command '%s'\n", line);
}

int script_status(struct script *s, const char *key, const char *body, size_t body_len, bool reused)
{
	if (s->stall || (s->drop_reused && reused))
		return 0;
	for (size_t i = 0; i < s->keys_count; i++) {
		struct sequence *q = &s->keys[i].sequence;
		if (strcmp(s->keys[i].key, key) != 0)
			continue;
		if (s->keys[i].stall)
			return 0;
		if (q->count > 0)
			return q->statuses[q->next + 1 < q->count ? q->next++ : q->next];
	}
	if (s->sequence.next < s->sequence.count)
		return s->sequence.statuses[s->sequence.next++];
	if (s->always)
		return s->always;
	if (s->max_body >= 0 && body_len > (size_t)s->max_body)
		return 413;
	if (*s->marker && memmem(body, body_len, s->marker, strlen(s->marker)))
		return 400;
	return 200;
}

int script_token_status(struct script *s, long iat, long exp, long now_s)
{
	if (s->token_stall)
		return 0;
	if (s->token_sequence.next < s->token_sequence.count)
		return s->token_sequence.statuses[s->token_sequence.next++];
	now_s += s->clock_s;
	return iat <= now_s && now_s < exp && exp - iat < 60 ? 200 : 400;
}

bool script_token_is_good(const struct script *s, const char *token)
{
	static const char prefix[] = "mock-token-of-sixteen-";
	if (strncmp(token, prefix, sizeof prefix - 1) != 0)
		return false;
	long number = atol(token + sizeof prefix - 1);
	return number > s->voided && number <= s->tokens;
}
