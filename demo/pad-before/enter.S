/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the program begins, where threads begin, the way into a padded function, and the hook. */
#define LOST 0x1057	/* no code is there, so no return address looks like it */

	.macro	function name
	.globl	\name
	.type	\name, %function
\name:
	.endm

	.text
function _start
	ldr	x0, [sp]
	add	x1, sp, #8
	bl	begin
	brk	#1

/* long start_thread(void *stack, void (*run)(void *), void *data): CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM */
function start_thread
	mov	x9, x1
	mov	x10, x2
	mov	x1, x0
	mov	x0, #0x0f00
	movk	x0, #5, lsl #16
	mov	x8, #220
	svc	#0
	cbz	x0, 1f
	ret
1:	mov	x0, x10
	blr	x9
	brk	#1

/*
 * long enter(long (*function)(long), long argument, long *hooked): x9 holds what is no return address, so the hook sees whether it was saved there. *hooked: how often the
 * hook was called, or -1: it came without a return address, and the function was left out.
 */
function enter
	stp	x29, x30, [sp, #-32]!
	mov	x29, sp
	stp	xzr, x2, [sp, #16]
	mov	x16, x0
	mov	x0, x1
	mov	x9, #LOST
	blr	x16
leave_function:
	ldp	x9, x2, [sp, #16]
	str	x9, [x2]
	ldp	x29, x30, [sp], #32
	ret

/* x9: where the function returns to; x30: what is behind the hook's call. The function has no frame yet, so the stack is still that of enter. */
function hook
	mov	x16, #LOST
	cmp	x9, x16
	b.eq	1f
	ldr	x16, [sp, #16]
	add	x16, x16, #1
	str	x16, [sp, #16]
	mov	x16, x30
	mov	x30, x9
	ret	x16
1:	mov	x16, #-1
	str	x16, [sp, #16]
	b	leave_function

	.section .note.GNU-stack,"",%progbits
