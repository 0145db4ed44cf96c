// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin for QEMU's translator (TCG) that counts between two marks in a guest: executed
 * instructions, or accesses to memory that several processors share, each with its call stack.
 * With several processors QEMU needs thread=multi: otherwise QEMU 10 attributes everything to the
 * processor that translates the code (gen_cpu_index() in accel/tcg/plugin-gen.c).
 *
 * The marks are instructions without an effect that no compiler emits: `xchg bx, bx` begins, and
 * `xchg cx, cx` ends. A repeated string instruction counts once per repetition.
 *
 * out=FILE: instructions, of one processor. A new begin mark drops earlier counts, so a first
 * execution does not count. Each line of the file has the addresses at which the functions on the
 * stack begin, outermost first, then the address of a block, then the number of instructions that
 * the block executed there.
 *
 * shared=FILE: accesses of the kernel, except those in system calls. Each pair of marks adds a part
 * to the file: a line `begin`; a line `entry ADDRESS COUNT` for each address at which the kernel
 * was entered from user mode; and, for each 64-byte line of memory that one processor wrote and
 * another one accessed, a line `touch LINE READERS WRITERS COUNT STACK` for each stack that
 * accessed it. A line `stack STACK ADDRESS...` defines the stack before. READERS and WRITERS are
 * sets of processors, one bit each, hexadecimal. Accesses by one instruction to one line count
 * once, whether it reads, writes or both, and however often it repeats without another access in
 * between: so does a processor that spins.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>

#include "qemu-plugin.h"

__attribute__((visibility("default"))) int qemu_plugin_version = 4;

enum end { OTHER, CALL, RETURN, SYSCALL };

/* A block of translated code. */
struct block {
	uint64_t begin;
	uint64_t after;		/* the address after its last instruction */
	uint32_t instructions;
	enum end end;
};

#define KERNEL(address) ((address) >> 63)
#define PROCESSORS 32
#define DEPTH 128

/* Executed code: a function called by another one, or (a leaf) a block in a function. */
struct node {
	uint32_t parent;	/* 0 is the root, and the value in an empty slot */
	bool leaf, printed;
	uint64_t address;
	uint64_t count;		/* instructions of a leaf; entries of a child of 0 */
};

/* The accesses of a leaf to a line. */
struct touch {
	uint64_t line;		/* 0 if the slot is empty */
	uint32_t node;
	uint32_t count;
	bool reads, writes;
};

/* Each processor runs in a thread of its own. */
static struct processor {
	pthread_mutex_t lock;
	struct node *nodes;
	struct touch *touches;
	struct { uint32_t node; uint64_t back; } stack[DEPTH];
	unsigned int depth;
	const struct block *last;
	bool ignored;		/* in a system call, or in a task scheduled by it */
	uint32_t leaf;
	/* The last access. */
	struct touch *touch;
	void *by;
} processors[PROCESSORS];
static atomic_bool counting;
static bool counted, sharing;
static const char *out;
/* The sizes of the tables of a processor, powers of two. */
static uint32_t node_count, touch_count;

static FILE *file(const char *mode)
{
	FILE *file = fopen(out, mode);

	if (!file) {
		perror(out);
		abort();
	}
	return file;
}

/* Writes the reason to the file, since the output of QEMU may be lost. */
static noreturn void fail(const char *what, uint32_t most)
{
	FILE *to = file("a");

	fprintf(to, "error: more than %u %s\n", most, what);
	fclose(to);
	abort();
}

static uint32_t hash(uint64_t key)
{
	return (key * 0x9e3779b97f4a7c15u) >> 32;
}

/* Returns the node of `address` below `parent`. */
static uint32_t find(struct processor *processor, uint32_t parent, bool leaf, uint64_t address)
{
	uint32_t at = hash(address ^ ((uint64_t)parent << 32) ^ leaf) % node_count;

	for (unsigned int tries = 0; tries < node_count; tries++, at = (at + 1) % node_count) {
		struct node *node = &processor->nodes[at];

		if (!at)
			continue;
		if (!node->address) {
			node->parent = parent;
			node->leaf = leaf;
			node->address = address;
		} else if (node->parent != parent || node->leaf != leaf ||
			   node->address != address) {
			continue;
		}
		return at;
	}
	fail("different stacks", node_count);
}

/* Returns the accesses of `node` to `line`. */
static struct touch *find_touch(struct processor *processor, uint64_t line, uint32_t node)
{
	uint32_t at = hash(line ^ ((uint64_t)node << 40)) % touch_count;

	for (unsigned int tries = 0; tries < touch_count; tries++, at = (at + 1) % touch_count) {
		struct touch *touch = &processor->touches[at];

		if (!touch->line) {
			touch->line = line;
			touch->node = node;
		} else if (touch->line != line || touch->node != node) {
			continue;
		}
		return touch;
	}
	fail("different accesses", touch_count);
}

static void push(struct processor *processor, uint64_t address, uint64_t back)
{
	unsigned int depth = processor->depth;
	uint32_t parent = depth ? processor->stack[depth - 1].node : 0;

	if (depth == DEPTH)
		return;
	processor->stack[depth].node = find(processor, parent, false, address);
	processor->stack[depth].back = back;
	processor->depth = depth + 1;
}

/* Returns the processor, locked, or NULL outside of the marks. */
static struct processor *lock(unsigned int vcpu)
{
	struct processor *processor = &processors[vcpu];

	if (!counting)
		return NULL;
	if (vcpu >= PROCESSORS)
		fail("processors", PROCESSORS);
	pthread_mutex_lock(&processor->lock);
	if (!counting) {
		pthread_mutex_unlock(&processor->lock);
		return NULL;
	}
	if (!processor->nodes) {
		processor->nodes = calloc(node_count, sizeof(*processor->nodes));
		processor->touches = calloc(touch_count, sizeof(*processor->touches));
		if (!processor->nodes || !processor->touches)
			abort();
	}
	return processor;
}

static void executed(unsigned int vcpu, void *data)
{
	struct processor *processor = lock(vcpu);
	const struct block *block = data, *last;

	if (!processor)
		return;
	last = processor->last;
	if (sharing && KERNEL(block->begin) && (!last || !KERNEL(last->begin)))
		processor->ignored = !last || last->end == SYSCALL;
	if (sharing && KERNEL(block->begin) && processor->ignored) {
		processor->last = last ? block : NULL;
		pthread_mutex_unlock(&processor->lock);
		return;
	}
	if (!last || KERNEL(last->begin) != KERNEL(block->begin)) {
		/* From user to kernel or back: begin a new stack. */
		processor->depth = 0;
		push(processor, block->begin, 0);
		if (last)
			processor->nodes[processor->stack[0].node].count++;
	} else if (last->end == CALL) {
		push(processor, block->begin, last->after);
	} else if (last->end == RETURN) {
		/* Skip functions left without a return, and ignore returns used as jumps. */
		for (unsigned int at = processor->depth; at-- > 1;) {
			if (processor->stack[at].back == block->begin) {
				processor->depth = at;
				break;
			}
		}
	}
	processor->last = block;
	processor->leaf = find(processor, processor->stack[processor->depth - 1].node, true,
			       block->begin);
	processor->nodes[processor->leaf].count += block->instructions;
	pthread_mutex_unlock(&processor->lock);
}

static void accessed(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *by)
{
	struct processor *processor = KERNEL(address) ? lock(vcpu) : NULL;
	uint64_t line = address & ~63ull;
	struct touch *touch;

	if (!processor)
		return;
	if (!processor->last || processor->ignored) {
		pthread_mutex_unlock(&processor->lock);
		return;
	}
	touch = processor->touch;
	if (!touch || touch->line != line || touch->node != processor->leaf ||
	    processor->by != by) {
		touch = find_touch(processor, line, processor->leaf);
		touch->count++;
		processor->touch = touch;
		processor->by = by;
	}
	touch->writes |= qemu_plugin_mem_is_store(info);
	touch->reads |= !qemu_plugin_mem_is_store(info);
	pthread_mutex_unlock(&processor->lock);
}

static void print_stack(FILE *file, const struct node *nodes, uint32_t at)
{
	if (!at)
		return;
	print_stack(file, nodes, nodes[at].parent);
	fprintf(file, "%llx ", (unsigned long long)nodes[at].address);
}

/* The accesses of a processor to a line. */
struct access {
	struct touch touch;
	uint32_t processor;
};

static int by_line(const void *one, const void *other)
{
	uint64_t a = ((const struct access *)one)->touch.line;
	uint64_t b = ((const struct access *)other)->touch.line;

	return (a > b) - (a < b);
}

/* Prints all accesses to a line if several processors access it and at least one writes. */
static void print_line(FILE *to, const struct access *accesses, uint32_t count)
{
	uint32_t all = 0;
	bool writes = false;

	for (uint32_t at = 0; at < count; at++) {
		all |= 1u << accesses[at].processor;
		writes |= accesses[at].touch.writes;
	}
	for (uint32_t at = 0; at < count && writes && (all & (all - 1)); at++) {
		const struct touch *touch = &accesses[at].touch;
		uint32_t number = accesses[at].processor, set = 1u << number;
		struct node *nodes = processors[number].nodes;

		if (!nodes[touch->node].printed) {
			fprintf(to, "stack %x.%x ", number, touch->node);
			print_stack(to, nodes, touch->node);
			fprintf(to, "\n");
			nodes[touch->node].printed = true;
		}
		fprintf(to, "touch %llx %x %x %u %x.%x\n", (unsigned long long)touch->line,
			touch->reads ? set : 0, touch->writes ? set : 0, touch->count, number,
			touch->node);
	}
}

static void print_entries(FILE *to, const struct node *nodes)
{
	for (uint32_t at = 1; nodes && at < node_count; at++)
		if (nodes[at].count && !nodes[at].leaf && KERNEL(nodes[at].address))
			fprintf(to, "entry %llx %llu\n", (unsigned long long)nodes[at].address,
				(unsigned long long)nodes[at].count);
}

static void print_shared(void)
{
	FILE *to = file("a");
	struct access *accesses = NULL;
	uint32_t used = 0, room = 0;

	fprintf(to, "begin\n");
	for (uint32_t number = 0; number < PROCESSORS; number++) {
		const struct touch *touches = processors[number].touches;

		print_entries(to, processors[number].nodes);
		for (uint32_t at = 0; touches && at < touch_count; at++) {
			if (!touches[at].line)
				continue;
			if (used == room) {
				room = room ? 2 * room : 1u << 16;
				accesses = realloc(accesses, room * sizeof(*accesses));
				if (!accesses)
					abort();
			}
			accesses[used++] = (struct access){ touches[at], number };
		}
	}
	qsort(accesses, used, sizeof(*accesses), by_line);
	for (uint32_t first = 0, end; first < used; first = end) {
		for (end = first; end < used; end++)
			if (accesses[end].touch.line != accesses[first].touch.line)
				break;
		print_line(to, accesses + first, end - first);
	}
	free(accesses);
	fclose(to);
}

static void mark(unsigned int vcpu, void *data)
{
	bool was_counting = atomic_exchange(&counting, false);

	/* A processor that holds its lock is still counting: wait for it. */
	for (unsigned int at = 0; at < PROCESSORS; at++) {
		struct processor *processor = &processors[at];

		pthread_mutex_lock(&processor->lock);
		if (data && processor->nodes) {
			memset(processor->nodes, 0, node_count * sizeof(*processor->nodes));
			memset(processor->touches, 0, touch_count * sizeof(*processor->touches));
			processor->depth = 0;
			processor->last = NULL;
			processor->touch = NULL;
		}
		pthread_mutex_unlock(&processor->lock);
	}
	if (!data && was_counting && sharing)
		print_shared();
	counted = true;
	counting = !!data;
}

/* Registers a callback for the marks in a block. */
static void find_marks(struct qemu_plugin_tb *tb)
{
	for (size_t at = 0; at < qemu_plugin_tb_n_insns(tb); at++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, at);
		uint8_t code[3] = {};

		qemu_plugin_insn_data(insn, code, sizeof(code));
		if (!memcmp(code, "\x66\x87\xdb", 3))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, mark, 0, "begin");
		else if (!memcmp(code, "\x66\x87\xc9", 3))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, mark, 0, NULL);
	}
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	struct block *block = calloc(1, sizeof(*block));
	size_t count = qemu_plugin_tb_n_insns(tb);
	struct qemu_plugin_insn *insn = NULL;
	uint8_t code[16] = {};
	const uint8_t *op = code;

	if (!KERNEL(qemu_plugin_tb_vaddr(tb)))
		find_marks(tb);
	if (!block || !count)
		abort();
	block->begin = qemu_plugin_tb_vaddr(tb);
	for (size_t at = 0; at < count; at++) {
		insn = qemu_plugin_tb_get_insn(tb, at);
		if (sharing && KERNEL(block->begin))
			qemu_plugin_register_vcpu_mem_cb(insn, accessed, 0, QEMU_PLUGIN_MEM_RW,
							 (void *)qemu_plugin_insn_vaddr(insn));
	}
	qemu_plugin_insn_data(insn, code, sizeof(code));
	block->after = qemu_plugin_insn_vaddr(insn) + qemu_plugin_insn_size(insn);
	block->instructions = count;
	/* Skip prefixes: of notrack branches, of padded returns, of registers beyond 7. */
	while (*op == 0x2e || *op == 0x3e || *op == 0xf2 || *op == 0xf3 || (*op & 0xf0) == 0x40)
		op++;
	if (*op == 0xe8 || (*op == 0xff && (op[1] & 0x38) == 0x10))
		block->end = CALL;
	else if (*op == 0xc3 || *op == 0xc2)
		block->end = RETURN;
	else if (*op == 0x0f && op[1] == 0x05)
		block->end = SYSCALL;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, 0, block);
}

static void leave(qemu_plugin_id_t id, void *data)
{
	const struct node *nodes = processors[0].nodes;
	FILE *to = counted && !sharing ? file("w") : NULL;

	if (!to)
		return;
	for (uint32_t at = 1; nodes && at < node_count; at++) {
		if (!nodes[at].count || !nodes[at].leaf)
			continue;
		print_stack(to, nodes, at);
		fprintf(to, "%llu\n", (unsigned long long)nodes[at].count);
	}
	fclose(to);
}

__attribute__((visibility("default")))
int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	if (argc != 1)
		return -1;
	sharing = !strncmp(argv[0], "shared=", 7);
	if (!sharing && strncmp(argv[0], "out=", 4))
		return -1;
	node_count = 1u << (sharing ? 18 : 20);
	touch_count = sharing ? 1u << 19 : 1;
	for (unsigned int at = 0; at < PROCESSORS; at++)
		pthread_mutex_init(&processors[at].lock, NULL);
	out = strdup(strchr(argv[0], '=') + 1);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, leave, NULL);
	return 0;
}
