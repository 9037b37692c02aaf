#include "../../csrc/io/directory.h"
#include "check.h"
#include "folder.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct mw_error error;

/* Is `path` refused, with the path and these words? */
static bool refuses(const char *path, const char *words)
{
	mw_error_clear(&error);
	bool refused = mw_directory_open(path, &error) == MW_IO && strstr(error.detail, words) &&
		       strstr(error.detail, path);
	if (!refused)
		fprintf(stderr, "%s: said \"%s\"\n", path, error.detail);
	return refused;
}

TEST(what_is_absent_is_made_for_its_owner_alone)
{
	const char *path = folder_path("new");
	struct stat st;
	mode_t before = umask(0);
	CHECK(mw_directory_open(path, &error) == MW_OK);
	umask(before);
	CHECK(stat(path, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 07777) == 0700);
	CHECK(mw_directory_open(path, &error) == MW_OK);
	CHECK(mw_directory_open(folder_path("new/"), &error) == MW_OK);
}

TEST(only_the_last_part_is_made)
{
	struct stat st;
	CHECK(refuses(folder_path("absent/new"), "make that first"));
	CHECK(stat(folder_path("absent"), &st) < 0);
	CHECK(refuses("", "can't be made"));
}

TEST(what_is_no_directory_is_refused)
{
	const char *path = folder_path("file");
	close(open(path, O_CREAT | O_WRONLY, 0600));
	CHECK(refuses(path, "is not a directory"));
	CHECK(refuses(folder_path("file/below"), "can't be made"));
}

TEST(a_directory_open_to_others_is_refused)
{
	const char *path = folder_path("open");
	mkdir(path, 0700);
	for (unsigned bit = 1; bit <= 040; bit *= 2) {
		chmod(path, 0700 | bit);
		char mode[8];
		snprintf(mode, sizeof mode, "%04o", 0700 | bit);
		CHECK(refuses(path, mode) && strstr(error.detail, "chmod 700"));
	}
	chmod(path, 0700);
	CHECK(mw_directory_open(path, &error) == MW_OK);
}

TEST(a_directory_that_its_owner_may_not_write_to_is_refused)
{
	const char *path = folder_path("shut");
	mkdir(path, 0500);
	CHECK(refuses(path, "can't be written to"));
}

TEST(a_symbolic_link_is_judged_by_what_it_leads_to)
{
	mkdir(folder_path("target"), 0700);
	CHECK(symlink("target", folder_path("link")) == 0);
	CHECK(mw_directory_open(folder_path("link"), &error) == MW_OK);
	chmod(folder_path("target"), 0755);
	CHECK(refuses(folder_path("link"), "0755"));
	CHECK(symlink("nowhere", folder_path("dangling")) == 0);
	CHECK(refuses(folder_path("dangling"), "leads nowhere"));
}

TEST(a_directory_of_another_user_is_refused)
{
	if (geteuid() != 0) {
		CHECK(refuses("/", "belongs to user 0"));
		return;
	}
	const char *path = folder_path("theirs");
	mkdir(path, 0700);
	CHECK(chown(path, 12345, 12345) == 0);
	CHECK(refuses(path, "belongs to user 12345"));
}

TEST(a_read_only_file_system_is_refused)
{
	const char *path = folder_path("mount");
	mkdir(path, 0700);
	enum { GOOD, BAD, NO_MOUNTS };
	pid_t child = fork();
	if (child == 0) {
		/* A file system of our own, which nobody else sees. */
		if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) < 0 ||
		    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("none", path, "tmpfs", 0, "mode=0700") < 0)
			_exit(NO_MOUNTS);
		char below[300];
		snprintf(below, sizeof below, "%s/below", path);
		bool good = mw_directory_open(path, &error) == MW_OK;
		if (mount("none", path, NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
			_exit(NO_MOUNTS);
		good = good && refuses(path, "read-only") && refuses(below, "read-only");
		_exit(good ? GOOD : BAD);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) != BAD);
	if (WEXITSTATUS(status) == NO_MOUNTS)
		printf("not tried: a read-only file system can't be mounted here\n");
}

TEST(network_file_systems_are_unfit_and_local_ones_are_not)
{
	static const struct {
		long type;
		const char *name;
	} table[] = {
	    {0x6969, "NFS"},
	    {0x517b, "SMB"},
	    {(long)0xff534d42, "CIFS"},
	    {(int32_t)0xff534d42u, "CIFS"}, /* as 32-bit machines give it */
	    {(long)0xfe534d42, "SMB"},
	    {0x01021997, "9p"},
	    {0x00c36400, "Ceph"},
	    {0x0bd00bd0, "Lustre"},
	    {0xef53, NULL},           /* ext4 */
	    {0x58465342, NULL},       /* XFS */
	    {(long)0x9123683e, NULL}, /* Btrfs */
	    {(long)0xf2f52010, NULL}, /* F2FS */
	    {0x2fc12fc1, NULL},       /* ZFS */
	    {0x01021994, NULL},       /* tmpfs */
	    {0x794c7630, NULL},       /* overlay */
	    {0x65735546, NULL},       /* FUSE */
	};
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		const char *name = mw_directory_unfit(table[i].type);
		CHECK(table[i].name ? name && strcmp(name, table[i].name) == 0 : !name);
	}
}

TEST(the_longest_path_leaves_room_for_the_advice)
{
	char path[400];
	size_t len = strlen(folder());
	memcpy(path, folder(), len);
	path[len++] = '/';
	memset(path + len, 'p', 240);
	path[len + 240] = '\0';
	mkdir(path, 0700);
	chmod(path, 0777);
	CHECK(mw_directory_open(path, &error) == MW_IO && strstr(error.detail, "chmod 700 it"));
}

int main(void)
{
	RUN(what_is_absent_is_made_for_its_owner_alone);
	RUN(only_the_last_part_is_made);
	RUN(what_is_no_directory_is_refused);
	RUN(a_directory_open_to_others_is_refused);
	RUN(a_directory_that_its_owner_may_not_write_to_is_refused);
	RUN(a_symbolic_link_is_judged_by_what_it_leads_to);
	RUN(a_directory_of_another_user_is_refused);
	RUN(a_read_only_file_system_is_refused);
	RUN(network_file_systems_are_unfit_and_local_ones_are_not);
	RUN(the_longest_path_leaves_room_for_the_advice);
	return CHECK_END();
}
