// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin of QEMU's translator: counts the instructions that a guest of one processor executes
 * between two marks, by block of code and by the calls that led there.
 *
 * The marks are instructions that do nothing and that no compiler emits: `xchg bx, bx` begins, and
 * `xchg cx, cx` ends. What was counted before another begin is dropped, so that a first execution
 * does not count. A repeated string instruction counts as often as it repeats.
 *
 * Argument: out=FILE. Each line of the file is the addresses at which the functions on the stack
 * begin, outermost first, then the block's, then how many instructions it executed there.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-plugin.h"

__attribute__((visibility("default"))) int qemu_plugin_version = 4;

enum end { OTHER, CALL, RETURN };

/* A block of translated code. */
struct block {
	uint64_t begin;
	uint64_t after;		/* the address after its last instruction */
	uint32_t instructions;
	enum end end;
};

#define KERNEL(address) ((address) >> 63)
#define DEPTH 128
#define NODES (1u << 20)

/* What was executed: a function below another one, or (a leaf) a block in a function. */
struct node {
	uint32_t parent;	/* 0 is the root; also that of an empty place */
	bool leaf;
	uint64_t address;
	uint64_t count;
};

static struct node nodes[NODES];
static struct { uint32_t node; uint64_t back; } stack[DEPTH];
static unsigned int depth;
static const struct block *last;
static bool counting, counted;
static const char *out;

/* The node of `address` below `parent`. */
static uint32_t find(uint32_t parent, bool leaf, uint64_t address)
{
	uint64_t hash = (address ^ ((uint64_t)parent << 32) ^ leaf) * 0x9e3779b97f4a7c15u;
	uint32_t at = hash >> 44;

	for (unsigned int tries = 0; tries < NODES; tries++, at = (at + 1) % NODES) {
		struct node *node = &nodes[at];

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
	fprintf(stderr, "profile: more than %u different stacks\n", NODES);
	abort();
}

static void push(uint64_t address, uint64_t back)
{
	if (depth == DEPTH)
		return;
	stack[depth].node = find(depth ? stack[depth - 1].node : 0, false, address);
	stack[depth++].back = back;
}

static void executed(unsigned int vcpu, void *data)
{
	const struct block *block = data;

	if (!counting)
		return;
	if (!last || KERNEL(last->begin) != KERNEL(block->begin)) {
		/* From user to kernel or back: what is on the stack is left. */
		depth = 0;
		push(block->begin, 0);
	} else if (last->end == CALL) {
		push(block->begin, last->after);
	} else if (last->end == RETURN) {
		/* Passes over functions that were left otherwise, and jumps by a return. */
		for (unsigned int at = depth; at-- > 1;) {
			if (stack[at].back == block->begin) {
				depth = at;
				break;
			}
		}
	}
	last = block;
	uint32_t leaf = find(depth ? stack[depth - 1].node : 0, true, block->begin);

	nodes[leaf].count += block->instructions;
}

static void mark(unsigned int vcpu, void *data)
{
	counting = !!data;
	counted = true;
	if (counting) {
		memset(nodes, 0, sizeof(nodes));
		depth = 0;
		last = NULL;
	}
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	struct block *block = calloc(1, sizeof(*block));
	size_t count = qemu_plugin_tb_n_insns(tb);
	struct qemu_plugin_insn *insn = NULL;
	uint8_t code[16] = {};

	if (!block || !count)
		abort();
	for (size_t at = 0; at < count; at++) {
		insn = qemu_plugin_tb_get_insn(tb, at);
		memset(code, 0, sizeof(code));
		qemu_plugin_insn_data(insn, code, sizeof(code));
		if (!memcmp(code, "\x66\x87\xdb", 3))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, mark, 0, "begin");
		else if (!memcmp(code, "\x66\x87\xc9", 3))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, mark, 0, NULL);
		if (!at)
			block->begin = qemu_plugin_insn_vaddr(insn);
	}
	block->after = qemu_plugin_insn_vaddr(insn) + qemu_plugin_insn_size(insn);
	block->instructions = count;
	/* Prefixes: of notrack branches, of padded returns, of registers beyond 7. */
	const uint8_t *op = code;

	while (*op == 0x2e || *op == 0x3e || *op == 0xf2 || *op == 0xf3 || (*op & 0xf0) == 0x40)
		op++;
	if (*op == 0xe8 || (*op == 0xff && (op[1] & 0x38) == 0x10))
		block->end = CALL;
	else if (*op == 0xc3 || *op == 0xc2)
		block->end = RETURN;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, 0, block);
}

static void print_stack(FILE *file, uint32_t at)
{
	if (!at)
		return;
	print_stack(file, nodes[at].parent);
	fprintf(file, "%llx ", (unsigned long long)nodes[at].address);
}

static void leave(qemu_plugin_id_t id, void *data)
{
	FILE *file = counted ? fopen(out, "w") : NULL;

	if (!file)
		return;
	for (uint32_t at = 1; at < NODES; at++) {
		if (!nodes[at].count)
			continue;
		print_stack(file, at);
		fprintf(file, "%llu\n", (unsigned long long)nodes[at].count);
	}
	fclose(file);
}

__attribute__((visibility("default")))
int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	if (argc != 1 || strncmp(argv[0], "out=", 4))
		return -1;
	out = strdup(argv[0] + 4);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, leave, NULL);
	return 0;
}
