// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * All tasks at once: while every CPU stands still, each task's stack is searched for addresses in the code that is to be left. Any word counts, so this can find
 * too much, for a moment, but never too little.
 */
#include "core.h"

#define KMEND_TRIES 100
#define KMEND_PAUSE_MS 100
/* So long nobody is told, for most are away in a moment. */
#define KMEND_QUIET_TRIES 10

/* Not on the stack: it holds the very addresses that are looked for. */
static struct {
	struct kmend_range *ranges;
	unsigned int n;
	char comm[TASK_COMM_LEN];
	pid_t pid;
	const char *name; /* of what the task is in */
	struct task_struct *asker;
	unsigned long asker_frame;
} kmend_scan;

void kmend_switch_asked(void *frame)
{
	kmend_scan.asker = current;
	kmend_scan.asker_frame = (unsigned long)frame;
}

static bool kmend_check(struct task_struct *task, unsigned long word)
{
	unsigned long address = kmend_arch_strip(word);
	unsigned int i;

	for (i = 0; i < kmend_scan.n; i++) {
		const struct kmend_range *r = &kmend_scan.ranges[i];

		if (likely(address < r->start || address >= r->end || address == r->entry))
			continue;
		kmend_scan.pid = task->pid;
		memcpy(kmend_scan.comm, task->comm, TASK_COMM_LEN);
		kmend_scan.name = r->name;
		return true;
	}
	return false;
}

/* Tracers that take return addresses off the stack, and keep them elsewhere. */
static bool kmend_check_hidden(struct task_struct *task)
{
#if defined(CONFIG_RETHOOK) || (defined(CONFIG_KRETPROBES) && !defined(CONFIG_KRETPROBE_ON_RETHOOK))
	struct llist_node *node;
#endif
#ifdef CONFIG_FUNCTION_GRAPH_TRACER
	/* An array up to curr_ret_stack, of structures or of words: either way one more than the last one that counts does no harm. */
	unsigned long *kept = (unsigned long *)READ_ONCE(task->ret_stack);
	int i, n = (task->curr_ret_stack + 1) * (int)(sizeof(*task->ret_stack) / sizeof(long));

	for (i = 0; kept && i < n; i++)
		if (kmend_check(task, kept[i]))
			return true;
#endif
#ifdef CONFIG_RETHOOK
	for (node = task->rethooks.first; node; node = node->next)
		if (kmend_check(task, container_of(node, struct rethook_node, llist)->ret_addr))
			return true;
#endif
#if defined(CONFIG_KRETPROBES) && !defined(CONFIG_KRETPROBE_ON_RETHOOK)
	for (node = task->kretprobe_instances.first; node; node = node->next)
		if (kmend_check(task, (unsigned long)container_of(node, struct kretprobe_instance, llist)->ret_addr))
			return true;
#endif
	return false;
}

/* 0: the end is not told, for those that stand still on a CPU. What lies below the asker's frame is ours, and names what is looked for. */
static unsigned long kmend_stack_end(struct task_struct *task)
{
	if (task == kmend_scan.asker)
		return kmend_scan.asker_frame;
	if (task == current)
		return (unsigned long)__builtin_frame_address(0);
	return task->on_cpu ? 0 : kmend_arch_saved_sp(task);
}

/* From where the stack ends, or all of it. */
static bool kmend_check_task(struct task_struct *task)
{
	unsigned long *base = task_stack_page(task), *end, *word, sp = kmend_stack_end(task);

	if (!base)
		return false;
	end = base + THREAD_SIZE / sizeof(long);
	word = base + 1;
	if (sp >= (unsigned long)base && sp < (unsigned long)end)
		word = (unsigned long *)(sp & ~(sizeof(long) - 1));
	for (; word < end; word++)
		if (kmend_check(task, READ_ONCE_NOCHECK(*word)))
			return true;
	return (!task->on_cpu && kmend_check(task, kmend_arch_saved_pc(task))) || kmend_check_hidden(task);
}

static struct task_struct *kmend_idle(int cpu)
{
#ifdef KMEND_LINK_IDLE_THREADS
	unsigned long link = KMEND_LINK_IDLE_THREADS;
	struct task_struct *__percpu *idle = (void __percpu *)(kmend_arch_is_offset(link) ? link : kmend_running(link));

	return *per_cpu_ptr(idle, cpu);
#elif !defined(KMEND_LINK_IDLE_TASK)
#error "this kernel names neither idle_threads nor idle_task: kmend's runtime could not find the idle tasks"
#else
	struct task_struct *(*idle_task)(int cpu) = (void *)kmend_running(KMEND_LINK_IDLE_TASK);

	return idle_task(cpu);
#endif
}

static bool kmend_is_busy(void)
{
	struct task_struct *process, *task;
	int cpu;

	for_each_process_thread(process, task) if (kmend_check_task(task)) return true;
	for_each_possible_cpu(cpu)
	{
		task = kmend_idle(cpu);
		if (task && kmend_check_task(task))
			return true;
	}
	return kmend_check_task(&init_task);
}

static int kmend_try_switch(void *entries)
{
	struct kmend_entry *entry;

	if (kmend_is_busy())
		return -EBUSY;
	list_for_each_entry(entry, (struct list_head *)entries, list) WRITE_ONCE(entry->to, entry->next);
	return 0;
}

int kmend_switch(struct kmend_range *ranges, unsigned int n)
{
	unsigned int i;
	int ret = -EBUSY;

	kmend_scan.ranges = ranges;
	kmend_scan.n = n;
	for (i = 0; ret == -EBUSY && i < KMEND_TRIES; i++) {
		if (i)
			msleep(KMEND_PAUSE_MS);
		ret = stop_machine(kmend_try_switch, &kmend_entries, NULL);
		if (ret == -EBUSY && i + 1 == KMEND_QUIET_TRIES)
			pr_info("%s (%d) is inside %s: waiting\n", kmend_scan.comm, kmend_scan.pid, kmend_scan.name);
	}
	if (ret == -EBUSY)
		pr_info("%s (%d) is inside %s: not switched\n", kmend_scan.comm, kmend_scan.pid, kmend_scan.name);
	else if (ret)
		pr_info("the CPUs could not be stopped (error %d): not switched\n", ret);
	return ret;
}
