/*
 * Ping-pong between two ranks, for the comparison with MPI.
 *
 *     mpirun -n 2 ping-pong BYTES:ITERATIONS:BATCHES[,...]
 *
 * For each entry WARM_UP batches, then BATCHES timed ones; rank 0 prints "BYTES mean mean ..." with each batch's mean
 * one-way time in microseconds. Every rank sends from one buffer and receives into another. All four are filled with
 * bytes that are not 0 before the clock starts: untouched pages are one shared zero page that never leaves the cache, and
 * malloc + memset(0) is compiled to calloc, which is the same thing.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WARM_UP 5

static unsigned char *filled(size_t bytes, int seed) {
  unsigned char *buffer = malloc(bytes > 0 ? bytes : 1);
  if (buffer == NULL) {
    fprintf(stderr, "ping-pong: no memory for %zu bytes\n", bytes);
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  for (size_t i = 0; i < bytes; i++) buffer[i] = (unsigned char)((i * 7 + seed) % 255 + 1);
  return buffer;
}

static void check(const unsigned char *buffer, size_t bytes, int seed) {
  if (bytes == 0) return;
  size_t last = bytes - 1;
  if (buffer[0] == (unsigned char)(seed % 255 + 1) && buffer[last] == (unsigned char)((last * 7 + seed) % 255 + 1)) return;
  fprintf(stderr, "ping-pong: wrong bytes in a message of %zu\n", bytes);
  MPI_Abort(MPI_COMM_WORLD, 1);
}

int main(int argc, char **argv) {
  int rank, size;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (argc != 2 || size != 2) {
    fprintf(stderr, "usage: mpirun -n 2 ping-pong BYTES:ITERATIONS:BATCHES[,...]\n");
    MPI_Abort(MPI_COMM_WORLD, 2);
  }
  int peer = 1 - rank;
  for (char *entry = strtok(argv[1], ","); entry != NULL; entry = strtok(NULL, ",")) {
    size_t bytes;
    long iterations, batches;
    if (sscanf(entry, "%zu:%ld:%ld", &bytes, &iterations, &batches) != 3) {
      fprintf(stderr, "ping-pong: '%s' is not BYTES:ITERATIONS:BATCHES\n", entry);
      MPI_Abort(MPI_COMM_WORLD, 2);
    }
    unsigned char *out = filled(bytes, rank);
    unsigned char *in = filled(bytes, 100);
    if (rank == 0) printf("%zu", bytes);
    MPI_Barrier(MPI_COMM_WORLD);
    for (long batch = -WARM_UP; batch < batches; batch++) {
      double start = MPI_Wtime();
      for (long i = 0; i < iterations; i++) {
        if (rank == 0) {
          MPI_Send(out, (int)bytes, MPI_BYTE, peer, 0, MPI_COMM_WORLD);
          MPI_Recv(in, (int)bytes, MPI_BYTE, peer, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        } else {
          MPI_Recv(in, (int)bytes, MPI_BYTE, peer, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
          MPI_Send(out, (int)bytes, MPI_BYTE, peer, 0, MPI_COMM_WORLD);
        }
      }
      double microseconds = (MPI_Wtime() - start) * 1e6 / (2.0 * (double)iterations);
      if (rank == 0 && batch >= 0) printf(" %.4f", microseconds);
    }
    if (rank == 0) {
      printf("\n");
      fflush(stdout);
    }
    check(in, bytes, peer);
    free(out);
    free(in);
  }
  MPI_Finalize();
  return 0;
}
