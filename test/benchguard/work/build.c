/* What the work program has the compiler build. */
#include <stdio.h>

int main(void)
{
	printf("built\n");
	return 0;
}
