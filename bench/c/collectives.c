/*
 * Collectives of any number of ranks, for the comparison with MPI.
 *
 *     mpirun -n N collectives NAME/BYTES:MILLISECONDS:BATCHES[,...]
 *
 * For each entry the number of calls that last about MILLISECONDS is found by doubling, at first roughly, for WARM_UP times
 * that long to warm up, and then once more; then come BATCHES timed batches, each about that long, so that a library which takes milliseconds per call (more
 * ranks than cores, and no yielding) ends nevertheless. Rank 0 prints "NAME/BYTES mean mean ..." with each batch's mean
 * time of one call in microseconds. What BYTES means for each collective, that the root moves on by one rank each time, and
 * that buffers are filled before the clock starts: see bench/README.md; contenders/collectives.mjs does the same.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WARM_UP 50

static int rank, size;

static double *filled(size_t bytes) {
  size_t count = bytes / sizeof(double);
  double *buffer = malloc(bytes > 0 ? bytes : 8);
  if (buffer == NULL) {
    fprintf(stderr, "collectives: no memory for %zu bytes\n", bytes);
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  for (size_t i = 0; i < count; i++) buffer[i] = (double)(i % 13 + 1) + rank;
  return buffer;
}

enum name { BARRIER, BCAST, REDUCE, ALLREDUCE, ALLGATHER, ALLTOALL, NAMES };
static const char *const names[NAMES] = {"barrier", "bcast", "reduce", "allreduce", "allgather", "alltoall"};

static void call(enum name name, double *send, double *recv, int count, int root) {
  switch (name) {
    case BARRIER: MPI_Barrier(MPI_COMM_WORLD); break;
    case BCAST: MPI_Bcast(send, count, MPI_DOUBLE, root, MPI_COMM_WORLD); break;
    case REDUCE: MPI_Reduce(send, recv, count, MPI_DOUBLE, MPI_SUM, root, MPI_COMM_WORLD); break;
    case ALLREDUCE: MPI_Allreduce(send, recv, count, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD); break;
    case ALLGATHER: MPI_Allgather(send, count, MPI_DOUBLE, recv, count, MPI_DOUBLE, MPI_COMM_WORLD); break;
    case ALLTOALL: MPI_Alltoall(send, count, MPI_DOUBLE, recv, count, MPI_DOUBLE, MPI_COMM_WORLD); break;
    default: break;
  }
}

static double timed(enum name name, double *send, double *recv, int count, long calls) {
  MPI_Barrier(MPI_COMM_WORLD);
  double start = MPI_Wtime();
  for (long i = 0; i < calls; i++) call(name, send, recv, count, (int)(i % size));
  MPI_Barrier(MPI_COMM_WORLD);
  return (MPI_Wtime() - start) * 1e6;
}

/* What rank 0 says. */
static int agreed(int answer) {
  MPI_Bcast(&answer, 1, MPI_INT, 0, MPI_COMM_WORLD);
  return answer;
}

/* How many calls, `calls` or more, last about that long; found enough twice, so that a busy moment does not pass for slow calls. */
static long callsIn(double milliseconds, enum name name, double *send, double *recv, int count, long calls) {
  for (int enough = 0; enough < 2;) {
    double taken = timed(name, send, recv, count, calls);
    for (int again = 0; again < 2; again++) {
      double other = timed(name, send, recv, count, calls);
      if (other < taken) taken = other;
    }
    int more = agreed(taken * 1.5 <= milliseconds * 1e3);
    if (more) calls *= 2;
    enough = more ? 0 : enough + 1;
  }
  return calls;
}

/* The last element that the collective, called once more with root 0, must have left here. */
static void check(enum name name, double *send, double *recv, size_t count) {
  if (name == BARRIER) return;
  call(name, send, recv, (int)count, 0);
  size_t last = count - 1;
  double own = (double)(last % 13 + 1);
  double sum = own * size + size * (size - 1) / 2.0;
  double found, expected;
  switch (name) {
    case BCAST: found = send[last]; expected = own; break;
    case REDUCE: found = rank == 0 ? recv[last] : 0; expected = rank == 0 ? sum : 0; break;
    case ALLREDUCE: found = recv[last]; expected = sum; break;
    case ALLGATHER: found = recv[size * count - 1]; expected = own + size - 1; break;
    default: found = recv[size * count - 1]; expected = (double)((rank * count + last) % 13 + 1) + size - 1; break;
  }
  if (found == expected) return;
  fprintf(stderr, "collectives: rank %d has %g instead of %g after %s of %zu doubles\n", rank, found, expected, names[name], count);
  MPI_Abort(MPI_COMM_WORLD, 1);
}

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (argc != 2) {
    fprintf(stderr, "usage: mpirun -n N collectives NAME/BYTES:MILLISECONDS:BATCHES[,...]\n");
    MPI_Abort(MPI_COMM_WORLD, 2);
  }
  for (char *entry = strtok(argv[1], ","); entry != NULL; entry = strtok(NULL, ",")) {
    char text[16];
    size_t bytes;
    double milliseconds;
    long batches;
    int found = 0;
    if (sscanf(entry, "%15[a-z]/%zu:%lf:%ld", text, &bytes, &milliseconds, &batches) != 4) found = NAMES;
    while (found < NAMES && strcmp(text, names[found]) != 0) found++;
    if (found == NAMES) {
      fprintf(stderr, "collectives: '%s' is not NAME/BYTES:MILLISECONDS:BATCHES\n", entry);
      MPI_Abort(MPI_COMM_WORLD, 2);
    }
    enum name name = (enum name)found;
    size_t count = bytes / sizeof(double);
    double *send = filled(name == ALLTOALL ? bytes * size : bytes);
    double *recv = filled(name == ALLTOALL || name == ALLGATHER ? bytes * size : bytes);
    long calls = callsIn(milliseconds, name, send, recv, (int)count, 1);
    for (double spent = 0; agreed(spent < WARM_UP * milliseconds * 1e3);) {
      spent += timed(name, send, recv, (int)count, calls);
    }
    calls = callsIn(milliseconds, name, send, recv, (int)count, calls);
    if (rank == 0) printf("%s/%zu", names[name], bytes);
    for (long batch = 0; batch < batches; batch++) {
      double taken = timed(name, send, recv, (int)count, calls);
      if (rank == 0) printf(" %.4f", taken / calls);
    }
    if (rank == 0) {
      printf("\n");
      fflush(stdout);
    }
    free(send);
    send = filled(name == ALLTOALL ? bytes * size : bytes);
    check(name, send, recv, count);
    free(send);
    free(recv);
  }
  MPI_Finalize();
  return 0;
}
