// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin for QEMU's translator (TCG) that delays one of a guest's processors at an instruction of
 * the kernel, while another one runs on. It needs thread=multi: a host thread for each processor.
 *
 * The guest announces what it does by `xchg dx, dx`, which does nothing and which no compiler
 * emits, and by stores of the instructions after it, one for each word of a struct message
 * (`rmmap_sys::walk::announce()`). Answers are in the file out=FILE, which is written anew each
 * time.
 *
 * A trial has two roles, each on a processor of its own. The first runs up to the point of delay:
 * the n-th execution of an instruction. There it waits until the other one, which has waited for
 * this, ends. It stops waiting if the other one's processor is idle, as it waits for a lock that
 * the first one holds; or if that has run for LIMIT, as it may spin for such a lock, or for the
 * first one's processor to handle an interrupt.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "qemu-plugin.h"

__attribute__((visibility("default"))) int qemu_plugin_version = 4;

#define MS 1000000ull
/* Time that a processor may run, and that it may take in all, while another one waits for it. */
#define LIMIT (10 * MS)
#define LIMIT_IN_ALL (2000 * MS)
/* Time without work after which a processor waits for something. */
#define IDLE (2 * MS)
#define PROCESSORS 8
#define RANGES 64
#define SLOTS (1u << 16)

/* What the guest announces. The values are those of `src/plugin.rs`. */
enum what { RANGE, TRANSLATE, FORGET, ARM, BEGIN, END, ANSWER };
struct message { uint64_t what, word[4]; };

/* How a wait ended. */
enum end { OTHER_ENDED, IDLED, LIMITED, ENDS };

static struct role {
	bool begun, ended;
	unsigned int vcpu;
	clockid_t clock;	/* the time that its host thread has run */
} roles[2];

/* An executed instruction. */
static struct executed {
	uint64_t address;
	uint64_t trial;		/* the last one that executed it */
	uint64_t hits;		/* in that one */
	uint64_t most;		/* in all */
} table[SLOTS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct { uint64_t begin, end; } ranges[RANGES];
static unsigned int range_count;
static struct message messages[PROCESSORS];
static atomic_ullong idle_since[PROCESSORS];
static const char *out;
static qemu_plugin_id_t plugin;

/* The trial. A point of 1 is the beginning of the first role, and 0 no point. */
static uint64_t point, hit, most_hits, trial;
static unsigned int first;
static bool is_at_point;
/* Since the last answer: how delays ended, and roles that began before the other was there. */
static unsigned int delays[ENDS], early;
static atomic_int watched = -1;	/* the processor of the first role, while it runs */
static FILE *news;		/* executions that the guest has not heard of */
static char *news_text;
static size_t news_size;

static uint64_t now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return time.tv_sec * 1000 * MS + time.tv_nsec;
}

static void begin_news(void)
{
	if (news)
		fclose(news);
	free(news_text);
	news = open_memstream(&news_text, &news_size);
	if (!news)
		abort();
}

/* Waits, with the lock held, until the role ends, or reaches its point if it has one. */
static enum end await(const struct role *role)
{
	uint64_t begun = now(CLOCK_MONOTONIC), ran = 0, ran_before = 0;

	while (!role->ended && !(role == &roles[first] && is_at_point)) {
		const struct timespec pause = { .tv_nsec = MS / 10 };
		uint64_t time = now(CLOCK_MONOTONIC), since;

		if (time - begun > LIMIT_IN_ALL)
			return LIMITED;
		if (role->begun) {
			since = idle_since[role->vcpu];
			if (since && time - begun > IDLE && time > since + IDLE)
				return IDLED;
			ran = now(role->clock);
			if (!ran_before)
				ran_before = ran;
			if (ran - ran_before > LIMIT)
				return LIMITED;
		}
		pthread_mutex_unlock(&lock);
		nanosleep(&pause, NULL);
		pthread_mutex_lock(&lock);
	}
	return OTHER_ENDED;
}

static void delay(void)
{
	is_at_point = true;
	delays[await(&roles[!first])]++;
}

static void begin(unsigned int number, unsigned int vcpu)
{
	struct role *role = &roles[number];

	if (pthread_getcpuclockid(pthread_self(), &role->clock))
		abort();
	role->vcpu = vcpu;
	if (number != first)
		early += await(&roles[first]) != OTHER_ENDED;
	role->begun = true;
	if (number != first)
		return;
	watched = vcpu;
	if (point == 1)
		delay();
}

static void answer(bool is_armed)
{
	FILE *to = fopen(out, "w");

	if (!to)
		abort();
	if (is_armed) {
		fprintf(to, "armed %u %llx %llu\n", first, (unsigned long long)point,
			(unsigned long long)hit);
	} else {
		fflush(news);
		fprintf(to, "ended %u idle %u limit %u early %u\n%s", delays[OTHER_ENDED],
			delays[IDLED], delays[LIMITED], early, news_text);
		memset(delays, 0, sizeof(delays));
		early = 0;
		begin_news();
	}
	fclose(to);
}

static void watch(qemu_plugin_id_t id);

static void handle(unsigned int vcpu, const struct message *message)
{
	const uint64_t *word = message->word;

	switch (message->what) {
	case RANGE:
		if (range_count == RANGES)
			abort();
		ranges[range_count].begin = word[0];
		ranges[range_count++].end = word[1];
		break;
	case TRANSLATE:
		/* Code that is already translated has no callbacks. */
		qemu_plugin_reset(plugin, watch);
		break;
	case FORGET:
		memset(table, 0, sizeof(table));
		begin_news();
		break;
	case ARM:
		memset(roles, 0, sizeof(roles));
		first = word[0];
		point = word[1];
		hit = word[2];
		most_hits = word[3];
		is_at_point = false;
		trial++;
		answer(true);
		break;
	case BEGIN:
		begin(word[0], vcpu);
		break;
	case END:
		roles[word[0]].ended = true;
		if (word[0] == first)
			watched = -1;
		break;
	case ANSWER:
		answer(false);
		break;
	}
}

/* A store after the mark, of the word `number`. */
static void stored(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *number)
{
	struct message *message = &messages[vcpu];
	uint64_t value = qemu_plugin_mem_get_value(info).data.u64;

	if (!number) {
		message->what = value;
		return;
	}
	message->word[(uintptr_t)number - 1] = value;
	if ((uintptr_t)number < 4)
		return;
	pthread_mutex_lock(&lock);
	handle(vcpu, message);
	pthread_mutex_unlock(&lock);
}

static struct executed *find(uint64_t address)
{
	for (uint32_t at = address * 0x9e3779b9u % SLOTS;; at = (at + 1) % SLOTS) {
		if (!table[at].address)
			table[at].address = address;
		if (table[at].address == address)
			return &table[at];
	}
}

static void execute(unsigned int vcpu, uint64_t address, char kind)
{
	struct executed *executed;

	if ((int)vcpu != watched)
		return;
	pthread_mutex_lock(&lock);
	executed = find(address);
	if (executed->trial != trial)
		executed->hits = 0;
	executed->trial = trial;
	executed->hits++;
	if (executed->hits > executed->most && executed->hits <= most_hits) {
		executed->most = executed->hits;
		fprintf(news, "%c %llx %llu\n", kind, (unsigned long long)address,
			(unsigned long long)executed->hits);
	}
	if (address == point && executed->hits == hit)
		delay();
	pthread_mutex_unlock(&lock);
}

/* The first instruction of a block. */
static void execute_block(unsigned int vcpu, void *address)
{
	execute(vcpu, (uintptr_t)address, 'b');
}

static void execute_other(unsigned int vcpu, void *address)
{
	execute(vcpu, (uintptr_t)address, 'i');
}

static bool is_watched(uint64_t address)
{
	for (unsigned int at = 0; at < range_count; at++)
		if (address >= ranges[at].begin && address < ranges[at].end)
			return true;
	return false;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t count = qemu_plugin_tb_n_insns(tb);
	bool is_kernel = qemu_plugin_tb_vaddr(tb) >> 63;
	uint64_t after_mark = 5;

	for (size_t at = 0; at < count; at++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, at);
		uint64_t address = qemu_plugin_insn_vaddr(insn);
		uint8_t code[3] = {};

		if (is_kernel) {
			void *data = (void *)(uintptr_t)address;

			if (is_watched(address))
				qemu_plugin_register_vcpu_insn_exec_cb(insn, at ? execute_other :
								       execute_block, 0, data);
			continue;
		}
		qemu_plugin_insn_data(insn, code, sizeof(code));
		if (!memcmp(code, "\x66\x87\xd2", 3))
			after_mark = 0;
		else if (after_mark < 5)
			qemu_plugin_register_vcpu_mem_cb(insn, stored, 0, QEMU_PLUGIN_MEM_RW,
							 (void *)(uintptr_t)after_mark++);
	}
}

static void idle(qemu_plugin_id_t id, unsigned int vcpu)
{
	idle_since[vcpu] = now(CLOCK_MONOTONIC);
}

static void resume(qemu_plugin_id_t id, unsigned int vcpu)
{
	idle_since[vcpu] = 0;
}

static void watch(qemu_plugin_id_t id)
{
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_vcpu_idle_cb(id, idle);
	qemu_plugin_register_vcpu_resume_cb(id, resume);
}

__attribute__((visibility("default")))
int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	if (argc != 1 || strncmp(argv[0], "out=", 4))
		return -1;
	out = strdup(argv[0] + 4);
	plugin = id;
	begin_news();
	watch(id);
	return 0;
}
