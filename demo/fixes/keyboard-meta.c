/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A user to whom the console does not belong sets its meta key mode. */
#include <fcntl.h>
#include <linux/kd.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	mknod("/dev/tty1", S_IFCHR | 0666, makedev(4, 1));
	/* A session of its own: no controlling terminal. */
	if (fork())
		return wait(NULL) < 0;
	setsid();
	int fd = open("/dev/tty1", O_RDWR | O_NOCTTY);
	if (fd < 0 || setuid(1000))
		return perror("/dev/tty1"), 1;
	puts(ioctl(fd, KDSKBMETA, K_ESCPREFIX) ? "fixed: refused" : "vulnerable: a stranger set the keyboard's mode");
	return 0;
}
