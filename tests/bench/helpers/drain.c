/* The floor of receiving: recv until the socket is empty. */
#include <sys/socket.h>

long drain(int fd)
{
    char buffer[2048];
    long count = 0;
    while (recv(fd, buffer, sizeof buffer, MSG_DONTWAIT) >= 0)
        count++;
    return count;
}
