/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Root leaves a persistent tun device without an owner; an ordinary user attaches to it. */
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int attach(int fd)
{
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };

	strcpy(request.ifr_name, "tun7");
	return ioctl(fd, TUNSETIFF, &request);
}

int main(void)
{
	mkdir("/dev/net", 0755);
	mknod("/dev/net/tun", S_IFCHR | 0666, makedev(10, 200));

	int root = open("/dev/net/tun", O_RDWR);
	if (root < 0 || attach(root) || ioctl(root, TUNSETPERSIST, 1))
		return perror("tun"), 1;
	close(root);

	int user = open("/dev/net/tun", O_RDWR);
	if (seteuid(1000))
		return perror("seteuid"), 1;
	puts(attach(user) ? "fixed: refused" : "vulnerable: a user without rights is on the wire");
	close(user);

	/* Leave no device behind. */
	root = seteuid(0) ? -1 : open("/dev/net/tun", O_RDWR);
	return attach(root) || ioctl(root, TUNSETPERSIST, 0);
}
