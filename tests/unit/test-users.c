/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who uses a function of a linked image: every way in which code and data can name an address, and what only looks like one. */
#include <string.h>

#include "fake-image.h"
#include "image/internal.h"
#include "image/users.h"

static const char text[] =
	"	.macro fn name\n"
	"	.globl \\name\n"
	"	.p2align 4\n"
	"	.type \\name, @function\n"
	"\\name:\n"
	"	.endm\n"
	"	.text\n"
	"fn near_short\n	jmp 0f\n"
	"fn near_loop\n	je 0f\n	ret\n"
	"fn near_count\n	jrcxz 0f\n	ret\n"
	"fn near_operand\n	.byte 0x48, 0x8b, 0x7c, f - . - 1, 0x10\n	ret\n"
	"fn f\n0:	mov $1, %eax\n	jmp f\n	ret\n"
	"fn calls\n	nop\n	call f\n	ret\n"
	"fn jumps\n	.byte 0xe9\n	.long f - . - 4\n"
	"fn branches\n	test %eax, %eax\n	.byte 0x0f, 0x85\n	.long f - . - 4\n	ret\n"
	"fn lea\n	lea f(%rip), %rax\n	ret\n"
	"fn compares\n	cmpl $0x12345678, f(%rip)\n	ret\n"
	"fn compares8\n	cmpb $1, f(%rip)\n	ret\n"
	"fn moves\n	mov $f, %rax\n	ret\n"
	"fn movabs\n	movabs $f, %rax\n	ret\n"
	"fn both\n	call f\n	lea f(%rip), %rdi\n	call both\n	ret\n"
	"fn traced\n1:	.byte 0x0f, 0x1f, 0x44, 0, 0\n	call f\n	ret\n"
	"fn other\n	call calls\n	lea calls(%rip), %rax\n	ret\n"
	"fn twin\n	ret\n"
	"fn percpu\n	.byte 0x65, 0x48, 0x8b, 0x04, 0x25\n	.long f - . - 4\n	ret\n"
	"fn limit\n	.byte 0x48, 0x3d\n	.long f - . - 4\n	ret\n"
	"	.section __mcount_loc, \"a\"\n	.quad 1b, f\n"
	"	.section .altinstructions, \"a\"\n	.balign 4\n	.long f - .\n"
	"	.section .smp_locks, \"a\"\n	.balign 4\n	.long f - .\n"
	"	.data\n	.balign 8\n	.globl pointer, packed, distance, number\n"
	"pointer:	.quad f\n"
	"packed:	.byte 1\n	.quad f\n	.balign 8\n"
	"distance:	.long f - .\n	.long 0\n"
	"number:	.quad f + 1\n"
	"	.section .altinstr_replacement, \"ax\"\n	call f\n"
	"	.section .init.text, \"ax\"\n"
	"fn starts\n	call f\n	ret\n"
	"fn hands_out\n	mov $f, %rdi\n	ret\n";

static const struct {
	const char *name;
	gboolean calls, entry, init, named;
} expected[] = {
	{ "near_short", TRUE, FALSE, FALSE, TRUE },
	{ "near_loop", TRUE, FALSE, FALSE, TRUE },
	{ "near_count", TRUE, FALSE, FALSE, TRUE },
	{ "f", TRUE, TRUE, FALSE, TRUE },
	{ "calls", TRUE, FALSE, FALSE, TRUE },
	{ "jumps", TRUE, FALSE, FALSE, TRUE },
	{ "branches", TRUE, FALSE, FALSE, TRUE },
	{ "lea", FALSE, FALSE, FALSE, TRUE },
	{ "compares", FALSE, FALSE, FALSE, TRUE },
	{ "compares8", FALSE, FALSE, FALSE, TRUE },
	{ "moves", FALSE, FALSE, FALSE, TRUE },
	{ "movabs", FALSE, FALSE, FALSE, TRUE },
	{ "both", TRUE, FALSE, FALSE, TRUE },
	{ "both", FALSE, FALSE, FALSE, TRUE },
	{ "traced", TRUE, TRUE, FALSE, TRUE },
	{ "pointer", FALSE, FALSE, FALSE, TRUE },
	{ "packed", FALSE, FALSE, FALSE, TRUE },
	{ "distance", FALSE, FALSE, FALSE, TRUE },
	{ "starts", TRUE, FALSE, TRUE, TRUE },
	{ "hands_out", FALSE, FALSE, TRUE, TRUE },
	{ ".altinstr_replacement", TRUE, FALSE, FALSE, FALSE },
};

static const KmImageUser *find(const GPtrArray *users, const char *name, gboolean calls)
{
	for (guint i = 0; i < users->len; i++) {
		const KmImageUser *user = users->pdata[i];
		if (!strcmp(user->name, name) && user->calls == calls)
			return user;
	}
	return NULL;
}

static KmImage *open_fake(FakeImage **fake)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(KmTempDir) dir = km_tempdir_new(NULL, "test-users", NULL);
	g_autofree char *object = fake_image_compile(dir, "users.S", text, NULL);
	g_autofree char *twin =
		fake_image_compile(dir, "twin.S", "	.text\n	.type twin, @function\ntwin:	call f\n", NULL);
	const char *const objects[] = { object, twin, NULL };
	*fake = fake_image_new(objects);
	KmImage *image = km_image_open((*fake)->path, &error);
	g_assert_no_error(error);
	return image;
}

static void test_every_way(void)
{
	g_autoptr(FakeImage) fake = NULL;
	g_autoptr(KmImage) image = open_fake(&fake);
	g_autoptr(GPtrArray) users = km_image_users(image, fake_image_address(fake, "f"));
	g_assert_nonnull(users);
	for (gsize i = 0; i < G_N_ELEMENTS(expected); i++) {
		g_test_message("%s", expected[i].name);
		const KmImageUser *user = find(users, expected[i].name, expected[i].calls);
		g_assert_nonnull(user);
		g_assert_cmpint(user->named, ==, expected[i].named);
		g_assert_cmpint(user->init, ==, expected[i].init);
		g_assert_cmpint(user->has_entry, ==, expected[i].entry);
	}
	const KmImageUser *twin = find(users, "twin", TRUE);
	g_assert_nonnull(twin);
	g_assert_cmpuint(twin->of_name, ==, 2);
	g_assert_cmpuint(users->len, ==, G_N_ELEMENTS(expected) + 1);
}

static void test_few(void)
{
	g_autoptr(FakeImage) fake = NULL;
	g_autoptr(KmImage) image = open_fake(&fake);
	g_autoptr(GPtrArray) users = km_image_users(image, fake_image_address(fake, "calls"));
	g_assert_cmpuint(users->len, ==, 2);
	g_assert_nonnull(find(users, "other", TRUE));
	g_assert_nonnull(find(users, "other", FALSE));
	g_autoptr(GPtrArray) none = km_image_users(image, fake_image_address(fake, "lea"));
	g_assert_cmpuint(none->len, ==, 0);
	g_assert_false(km_image_is_kfunc(image, "f"));
	g_assert_false(km_image_is_exported(image, fake_image_address(fake, "f")));
}

/* The packed names of kallsyms are no distances, whatever they look like. */
static void test_packed_names(void)
{
	g_autoptr(FakeImage) fake = NULL;
	g_autoptr(KmImage) image = open_fake(&fake);
	g_assert_cmpuint(image->kallsyms.stop - image->kallsyms.start, >, 64);
	for (guint64 at = (image->kallsyms.start + 7) & ~7ULL; at + 4 <= image->kallsyms.start + 64; at += 4) {
		const guint8 *field = km_image_bytes(image, at, 4);
		g_assert_nonnull(field);
		guint64 target = at + (guint64)(gint64)(gint32)km_image_get_u32(image, field);
		g_autoptr(GPtrArray) users = km_image_users(image, target);
		g_assert_cmpuint(users->len, ==, 0);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	if (!fake_image_can()) {
		g_test_message("needs a compiler for this architecture");
		return 77;
	}
	g_test_add_func("/users/every way", test_every_way);
	g_test_add_func("/users/few", test_few);
	g_test_add_func("/users/packed names", test_packed_names);
	return g_test_run();
}
